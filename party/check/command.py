"""`python -m party check URL`: the party check for a party's own CI, by its exit code.

0: no rule failed. 1: some did. 2: the check could not be made.
"""

import argparse
import os
import sys
from typing import Final

import aiohttp
import msgspec

from hub.ocpi.errors import OcpiError
from hub.ocpi.party import PartyId
from party.check.asker import CheckPlatform
from party.check.check import CannotCheck, Checked, checked
from party.check.text import lines_of_failed, lines_of_others, summary
from party.connection import Connection
from party.registration import RegistrationFailed

PASSED, FAILED, NOT_CHECKED = 0, 1, 2
TOKEN: Final = "PARTY_CHECK_TOKEN"  # noqa: S105 - the variable's name
TOKEN_A: Final = "PARTY_CHECK_TOKEN_A"  # noqa: S105 - likewise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whom to check, by which token, and how far to go."""
    parser.add_argument("versions_url", metavar="URL", help="the party's versions endpoint")
    parser.add_argument(
        "--token", default=os.environ.get(TOKEN), help=f"that the party takes; else ${TOKEN}"
    )
    parser.add_argument(
        "--token-a",
        default=os.environ.get(TOKEN_A),
        help=f"CREDENTIALS_TOKEN_A: register with it, check, and unregister; else ${TOKEN_A}",
    )
    parser.add_argument("--plain", action="store_true", help="write tokens without Base64")
    parser.add_argument(
        "--party",
        action="append",
        default=[],
        type=_party,
        metavar="NL-ABC",
        help="who is there, the first is asked; by default the roles of its Credentials object",
    )
    parser.add_argument(
        "--as", dest="asker", type=_party, default=PartyId("XX", "CHK"), metavar="XX-CHK",
        help="who asks, with the role HUB",
    )  # fmt: skip
    parser.add_argument(
        "--push",
        action="store_true",
        help="push marked test objects too, and ask a charge point for its active profile",
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="to wait for each answer")
    parser.add_argument("--host", default="127.0.0.1", help="where results may be posted")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--public-url", help="how the party reaches that, when not HOST:PORT")
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    parser.add_argument("-v", "--verbose", action="store_true", help="show calls of passed rules")


def _party(text: str) -> PartyId:
    try:
        return PartyId.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


async def run(options: argparse.Namespace) -> int:
    """Check, print a report, and return the exit code."""
    try:
        found = await _checked(options)
    except (CannotCheck, RegistrationFailed, OcpiError, aiohttp.ClientError, OSError) as error:
        sys.stderr.write(f"error: {error or type(error).__name__}\n")
        return NOT_CHECKED
    sys.stdout.write(_as_json(found) if options.json else _as_text(found, options.verbose))
    return FAILED if found.has_failed else PASSED


async def _checked(options: argparse.Namespace) -> Checked:
    platform = CheckPlatform(
        options.asker, host=options.host, port=options.port, public_url=options.public_url
    )
    await platform.start()
    try:
        connection = await _connected(platform, options)
        try:
            return await checked(
                platform, connection, options.party, push=options.push, seconds=options.seconds
            )
        finally:
            if connection in platform.connections:
                answer = await platform.unregister(connection)
                if not answer.is_success:
                    sys.stderr.write(f"warning: DELETE of credentials: {answer.summary}\n")
    finally:
        await platform.stop()


async def _connected(platform: CheckPlatform, options: argparse.Namespace) -> Connection:
    encoded = not options.plain
    if options.token:
        return Connection(options.versions_url, sends=options.token, base64_encoded=encoded)
    if options.token_a:
        return await platform.register(
            options.versions_url, options.token_a, base64_encoded=encoded
        )
    raise CannotCheck(f"A token is needed: --token or --token-a, ${TOKEN} or ${TOKEN_A}.")


def _as_text(found: Checked, is_full: bool) -> str:
    lines = [
        f"{found.party}: {summary(found.findings)}.",
        *lines_of_failed(found.findings),
        *lines_of_others(found.findings, is_full=is_full),
    ]
    return "\n".join(lines) + "\n"


def _as_json(found: Checked) -> str:
    return msgspec.json.encode(found).decode() + "\n"
