"""The Authorization header, and the Credentials object (transport_and_format, credentials)."""

from collections.abc import Iterator

import msgspec

from hub.ocpi import headers
from hub.ocpi.configuration import Credentials
from hub.ocpi.datatypes import InterfaceRole, decode
from hub.ocpi.errors import OcpiError
from party.check.findings import Finding, Rule
from party.check.probe import Call, Probe

CHAPTER = "transport_and_format, Authorization header"
BASE64 = Rule(
    "authorization.base64",
    CHAPTER,
    "A credentials token in Base64 is taken",
    "Decode what follows 'Token ' with Base64 before you compare it; plain tokens are of "
    "OCPI 2.1.1 "
    "and of some 2.2 systems.",
)
MISSING = Rule(
    "authorization.missing",
    CHAPTER,
    "Without a token: HTTP 401",
    "Answer HTTP 401 with an envelope (2000) to requests without an Authorization header, on each "
    "endpoint.",
)
WRONG = Rule(
    "authorization.wrong",
    CHAPTER,
    "With a token that nobody has: HTTP 401",
    "Compare the token with those that you gave out, on each endpoint; answer HTTP 401 with an "
    "envelope (2000) to all others.",
)
OBJECT = Rule(
    "credentials.get",
    "credentials, GET Method",
    "GET credentials gives the Credentials object",
    "Answer with the token that the hub uses with you, the URL of your versions endpoint, "
    "and roles.",
)
ROLES = Rule(
    "credentials.roles",
    "credentials, Credentials object",
    "roles name the party, each role once",
    "List each country_code, party_id and role that you act as, once; PUT your credentials to the "
    "hub when they change.",
)
RULES = (BASE64, MISSING, WRONG, OBJECT, ROLES)


def check(probe: Probe) -> Iterator[Finding]:
    """Reads alone; credentials are neither POSTed nor PUT, since a party might take them."""
    url = probe.target.versions_url
    ((token, _), *_) = headers.presented_tokens(probe.target.authorization) or [("", True)]
    encoded = probe.call(
        "GET", url, "versions", authorization=headers.authorization(token), note="token in Base64"
    )
    plain = probe.call(
        "GET",
        url,
        "versions",
        authorization=headers.authorization(token, base64_encoded=False),
        note="token as it is",
    )
    yield BASE64.judge(encoded.is_success, encoded, f"and plain: {plain.said}")
    doors = [(url, "versions"), *_first_list(probe)]
    unknown = headers.authorization(probe.mark)
    for rule, authorization, note in (
        (MISSING, "", "no Authorization header"),
        (WRONG, unknown, "a wrong token"),
    ):
        calls = [
            probe.call("GET", door, module, authorization=authorization, note=note)
            for door, module in doors
        ]
        open_ = [call for call in calls if call.status not in {401, None}]
        yield rule.judge(not open_, (open_ or calls)[0])
    yield from _check_credentials(probe)


def _first_list(probe: Probe) -> list[tuple[str, str]]:
    for module in ("locations", "tokens", "tariffs", "cdrs", "sessions"):
        if url := probe.endpoint(module, InterfaceRole.SENDER):
            return [(url, module)]
    return []


def _check_credentials(probe: Probe) -> Iterator[Finding]:
    url = probe.endpoint("credentials", InterfaceRole.SENDER)
    if url is None:
        yield OBJECT.not_tried("the party named no credentials endpoint")
        return
    call = probe.get(url, "credentials", is_single=True)
    if not call.is_success:
        yield OBJECT.judge(False, call)
        return
    try:
        found = _credentials_in(call)
    except OcpiError as error:
        yield OBJECT.failed(call, error.message)
        return
    yield OBJECT.passed(call)
    yield ROLES.judge(*_roles(probe, found, call))


def credentials_of(probe: Probe) -> Credentials | None:
    """The party's Credentials object; None when it cannot be read."""
    url = probe.endpoint("credentials", InterfaceRole.SENDER)
    if url is None:
        return None
    call = probe.get(url, "credentials", is_single=True)
    try:
        return _credentials_in(call) if call.is_success else None
    except OcpiError:
        return None


def _credentials_in(call: Call) -> Credentials:
    document = call.raw_data
    if isinstance(call.data, list) and len(call.data) == 1:  # A rule of its own.
        document = bytes(msgspec.json.decode(document, type=list[msgspec.Raw])[0])
    return decode(document, Credentials)


def _roles(probe: Probe, found: Credentials, call: Call) -> tuple[bool, Call, str]:
    named = [(r.country_code.upper(), r.party_id.upper(), r.role) for r in found.roles]
    is_named = any(name[:2] == probe.party for name in named)
    shown = ", ".join(f"{code}-{party} {role}" for code, party, role in named)
    return is_named and len(set(named)) == len(named), call, f"roles: {shown}"
