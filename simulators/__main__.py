"""`python -m simulators cpo|emsp|scsp|demo`: simulated parties as processes of their own."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import aiohttp

from hub.ocpi.errors import OcpiError
from hub.ocpi.party import PartyId
from party.registration import RegistrationFailed
from party.serving import join
from simulators.cpo import Cpo
from simulators.demo import PROJECT, Demo, DemoFailed
from simulators.emsp import Emsp
from simulators.faulty_platform import FaultyPlatform
from simulators.scsp import Scsp

SIMULATORS: dict[str, type[Cpo] | type[Emsp] | type[Scsp]] = {
    "cpo": Cpo,
    "emsp": Emsp,
    "scsp": Scsp,
}
# Whose list can be made long enough for pages.
LISTS = {"cpo": "locations", "emsp": "tokens"}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m simulators", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, simulator in SIMULATORS.items():
        one = kinds.add_parser(kind, help=(simulator.__doc__ or "").splitlines()[0])
        one.add_argument("--country-code", required=True)
        one.add_argument("--party-id", required=True)
        one.add_argument("--name", default=f"Simulated {kind}")
        one.add_argument("--host", default="127.0.0.1")
        one.add_argument("--port", type=int, default=0, help="0 takes a free one")
        one.add_argument("--public-url", help="how others reach it, when not http://HOST:PORT")
        one.add_argument("--versions-url", help="of the platform to register with")
        one.add_argument("--token-a", help="CREDENTIALS_TOKEN_A for that registration")
        one.add_argument("--plain", action="store_true", help="write tokens without Base64")
        one.add_argument("--memory", type=Path, help="file that keeps the registration")
        one.add_argument("--speed-up", type=float, default=1.0)
        if kind in LISTS:
            one.add_argument(
                f"--{LISTS[kind]}", type=int, default=1, help="so many are in its Sender list"
            )
    demo = kinds.add_parser("demo", help="all three at a hub, and cars that come and go")
    demo.add_argument("--hub-versions-url", required=True)
    demo.add_argument("--speed-up", type=float, default=float(os.environ.get("DEMO_SPEED", "120")))
    demo.add_argument(
        "--page-port",
        type=int,
        default=int(os.environ.get("DEMO_PORT", "8200")),
        help="of the driver's page; the two ports after it are taken too",
    )
    demo.add_argument(
        "--hour",
        type=int,
        choices=range(24),
        default=int(os.environ.get("DEMO_HOUR", "17")),
        help="the hour of the day of the figures at which the demo begins",
    )
    return parser.parse_args()


async def run_one(options: argparse.Namespace, stop: asyncio.Event) -> None:
    """One party: register or go on with an earlier registration, then serve until stopped."""
    length = LISTS.get(options.kind)
    more = {} if length is None else {length: getattr(options, length)}
    platform: FaultyPlatform = SIMULATORS[options.kind](
        PartyId.of(options.country_code, options.party_id),
        speed_up=options.speed_up,
        name=options.name,
        host=options.host,
        port=options.port,
        public_url=options.public_url,
        **more,
    )
    await platform.start()
    try:
        _say(f"versions: {platform.versions_url}")
        _say(f"page: {platform.url}{platform.page_path}")
        connection = await join(
            platform,
            options.versions_url,
            options.token_a,
            file=options.memory,
            base64_encoded=not options.plain,
        )
        if connection is None:
            _say(f"others can register with token: {platform.invite()}")
        else:
            _say(f"registered with {connection.versions_url}")
        await stop.wait()
    finally:
        await platform.stop()


async def main() -> int:
    """Exit code 1 and one line when it cannot be done."""
    options = arguments()
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s")
    logging.getLogger("simulators.story").setLevel(logging.INFO)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        if options.kind == "demo":
            data = Path(os.environ.get("FLEXHUB_DATA") or PROJECT / ".data")
            demo = Demo(
                options.hub_versions_url, data, options.speed_up, options.page_port, options.hour
            )
            await demo.run(stop)
        else:
            await run_one(options, stop)
    except (RegistrationFailed, DemoFailed, OcpiError, aiohttp.ClientError, OSError) as error:
        _say(f"error: {error or type(error).__name__}")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
