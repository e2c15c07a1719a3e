"""One object at a time: found without regard to case, or HTTP 404 (status_codes, types)."""

from collections.abc import Iterator

from hub.ocpi.datatypes import InterfaceRole
from party.check.findings import Finding, Rule
from party.check.lists import first_page, items_of
from party.check.probe import Probe, below

SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
FOUND = Rule(
    "objects.get",
    "mod_locations, GET Method",
    "GET of a Location by its id gives that Location",
    "Serve {locations}/{location_id} on the Sender interface.",
)
CASE = Rule(
    "objects.case",
    "types, CiString",
    "Ids are compared without regard to case",
    "Compare CiStrings without case (for example by an index on their upper case), and keep the "
    "spelling that the owner sent.",
)
UNKNOWN = Rule(
    "objects.unknown",
    "status_codes",
    "GET of an object that does not exist: HTTP 404 with an envelope",
    "Answer HTTP 404 with {status_code: 2000 or 2003, status_message, timestamp}; not HTTP "
    "200 with "
    "empty data, not HTTP 500.",
)
RULES = (FOUND, CASE, UNKNOWN)


def check(probe: Probe) -> Iterator[Finding]:
    """The first Location there is, and objects that nobody has."""
    yield from _check_location(probe)
    for module, role, owned in (
        ("locations", SENDER, False),
        ("locations", RECEIVER, True),
        ("sessions", RECEIVER, True),
        ("tariffs", RECEIVER, True),
        ("tokens", RECEIVER, True),
    ):
        if (url := probe.endpoint(module, role)) is None:
            continue
        owner = (probe.sender.country_code, probe.sender.party_id) if owned else ()
        call = probe.call("GET", below(url, *owner, probe.mark), module, note="there is no such")
        is_right = call.status == 404 and call.status_code is not None
        yield UNKNOWN.judge(is_right, call, subject=f"{module} {role}")


def _check_location(probe: Probe) -> Iterator[Finding]:
    url = probe.endpoint("locations", SENDER)
    if url is None:
        return
    items = items_of(first_page(probe, "locations", url))
    names = [item["id"] for item in items if isinstance(item.get("id"), str) and item["id"]]
    if not names:
        for rule in (FOUND, CASE):
            yield rule.not_tried("the party has no Location", "locations")
        return
    name = next((one for one in names if one.swapcase() != one), names[0])
    call = probe.get(below(url, name), "locations", is_single=True)
    data = call.data[0] if isinstance(call.data, list) and call.data else call.data
    is_it = call.is_success and isinstance(data, dict) and data.get("id") == name
    yield FOUND.judge(is_it, call, subject="locations")
    if not is_it or name.swapcase() == name:
        yield CASE.not_tried("no Location with letters in its id was found", "locations")
        return
    other = probe.get(below(url, name.swapcase()), "locations", is_single=True)
    yield CASE.judge(other.is_success, other, f"the id is {name}", "locations")
