"""extrawest-ocpi 2025.7.16 and py-ocpi 0.3.1 as CPOs and eMSPs of the hub: nothing is skipped.

They send no routing headers, lower or raise the case of CiStrings, write times with an offset or a
blank, send null for what is absent, answer with a list of one, and leave a slash out of URLs.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from hub.models import Party, Platform
from hub.models.pulls import Pull, PullState
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding, registration
from hub.sync import pull_tasks
from tests import minimal
from tests.hub.strangers import until
from tests.peers.library import LIBRARIES, LibraryParty, serve

MOMENT = "2026-01-01T10:00:00Z"
CPOS = {"extrawest": PartyId("NL", "EWC"), "py_ocpi": PartyId("NL", "POC")}
EMSPS = {"extrawest": PartyId("DE", "EWM"), "py_ocpi": PartyId("DE", "POM")}


class Parties:
    """The four of them, registered: CPOs by the hub's own handshake, eMSPs by theirs."""

    def __init__(self, stack: ExitStack) -> None:
        self.cpos: dict[str, LibraryParty] = {}
        self.emsps: dict[str, LibraryParty] = {}
        for library in LIBRARIES:
            cpo = stack.enter_context(serve(library, Role.CPO, CPOS[library]))
            registration.connect(cpo.versions_url, cpo.token_a, parties={cpo.identity: [Role.CPO]})
            self.cpos[library] = cpo
            emsp = stack.enter_context(serve(library, Role.EMSP, EMSPS[library]))
            invited = onboarding.invite(emsp.identity, [Role.EMSP], library)
            # As if older code of its own called the hub: the library takes tokens in Base64 alone.
            said = emsp.register(invited.versions_url, invited.token, is_plain=True)
            assert said["status_code"] == 1000, said
            self.emsps[library] = emsp


@pytest.fixture(scope="module")
def parties(hub) -> Iterator[Parties]:
    with ExitStack() as stack:
        yield Parties(stack)


def location(cpo: LibraryParty, location_id: str) -> dict[str, Any]:
    connector = {
        "id": "1",
        "standard": "IEC_62196_T2",
        "format": "SOCKET",
        "power_type": "AC_3_PHASE",
        "max_voltage": 230,
        "max_amperage": 16,
        "tariff_ids": ["T1"],
        "last_updated": MOMENT,
    }
    evse = {
        "uid": f"{location_id}-E1",
        "evse_id": "NL*EWC*E1",
        "status": "AVAILABLE",
        "capabilities": ["RFID_READER"],
        "connectors": [connector],
        "directions": [],
        "parking_restrictions": [],
        "images": [],
        "last_updated": MOMENT,
    }
    more = {"evses": [evse], "last_updated": MOMENT}
    return minimal.location(cpo.identity, location_id, **more)


def tariff(cpo: LibraryParty, tariff_id: str) -> dict[str, Any]:
    return {
        "country_code": cpo.identity.country_code,
        "party_id": cpo.identity.party_id,
        "id": tariff_id,
        "currency": "EUR",
        "elements": [{"price_components": [{"type": "ENERGY", "price": 0.25, "step_size": 1}]}],
        "last_updated": MOMENT,
    }


def ids(objects: list[dict[str, Any]], owner: LibraryParty, key: str = "id") -> set[str]:
    return {
        one[key].upper() for one in objects if one["party_id"].upper() == owner.identity.party_id
    }


def accepted(pushed: dict[str, Any]) -> bool:
    return pushed["status"] in {200, 201} and pushed["body"]["status_code"] == 1000


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_registers_as_cpo_and_as_emsp(parties, library):
    for party in (parties.cpos[library], parties.emsps[library]):
        platform = Platform.objects.get(versions_url=party.versions_url)
        assert platform.is_registered
        [row] = Party.objects.filter(platform=platform)
        assert (row.identity, row.role, row.status) == (party.identity, party.role, "CONNECTED")
        assert platform.token_form == "BASE64"


@pytest.mark.parametrize("library", LIBRARIES)
def test_locations_and_tariffs_that_it_pushes_reach_all_emsps_and_are_listed(parties, library):
    cpo = parties.cpos[library]
    places = {f"PUSHED-{number}" for number in range(3)}
    for place in sorted(places):
        said = cpo.push("locations", place, location(cpo, place))
        assert accepted(said), said
    said = cpo.push("tariffs", "T1", tariff(cpo, "T1"))
    assert accepted(said), said
    for emsp in parties.emsps.values():
        until(lambda emsp=emsp: places <= ids(list(emsp.holds("locations").values()), cpo))
        until(lambda emsp=emsp: {"T1"} <= ids(list(emsp.holds("tariffs").values()), cpo))
        assert places <= ids(emsp.listed("locations"), cpo)
        assert ids(emsp.listed("tariffs"), cpo) == {"T1"}


@pytest.mark.parametrize("library", LIBRARIES)
def test_tokens_that_it_pushes_reach_all_cpos_and_are_listed(parties, library):
    emsp = parties.emsps[library]
    uids = {f"{library}-{number}".upper() for number in range(3)}
    for uid in sorted(uids):
        said = emsp.push("tokens", uid, minimal.token(emsp.identity, uid))
        assert accepted(said), said
    for cpo in parties.cpos.values():
        until(lambda cpo=cpo: uids <= ids(list(cpo.holds("tokens").values()), emsp, "uid"))
        assert uids <= ids(cpo.listed("tokens"), emsp, "uid")


@pytest.mark.parametrize(
    ("library", "module"),
    [(library, module) for library in LIBRARIES for module in ("locations", "tariffs", "tokens")],
)
def test_its_lists_are_pulled_whole(parties, library, module):
    owner = parties.emsps[library] if module == "tokens" else parties.cpos[library]
    make = {"locations": location, "tariffs": tariff}.get(
        module, lambda party, uid: minimal.token(party.identity, uid)
    )
    names = {f"PULLED-{number}" for number in range(120)}
    for name in names:
        owner.keep(module, name, make(owner, name))
    [row] = pull_tasks.request(owner.identity, [module], full=True)
    until(lambda: not Pull.objects.get(pk=row.pk).is_requested, seconds=60)
    done = Pull.objects.get(pk=row.pk)
    assert (done.bad, done.foreign, done.state) == (0, 0, PullState.FINISHED)
    reader = parties.cpos[library] if module == "tokens" else parties.emsps[library]
    key = "uid" if module == "tokens" else "id"
    assert names <= ids(reader.listed(module), owner, key)


@pytest.mark.parametrize("emsps_library", LIBRARIES)
@pytest.mark.parametrize("library", LIBRARIES)
def test_its_sessions_and_cdrs_reach_the_emsp_of_the_token(parties, library, emsps_library):
    cpo, emsp = parties.cpos[library], parties.emsps[emsps_library]
    name = f"{library}-{emsps_library}".upper()
    charging = minimal.session(cpo.identity, emsp.identity, name)
    said = cpo.push("sessions", name, charging)
    assert accepted(said), said
    assert name in ids(list(emsp.holds("sessions").values()), cpo)
    assert name in ids(emsp.listed("sessions"), cpo)
    assert name in ids(cpo.listed("sessions"), cpo)
    price = {"excl_vat": 4.0, "incl_vat": 4.84}
    bill = minimal.cdr(cpo.identity, emsp.identity, name, total_cost=price)
    said = cpo.push("cdrs", name, bill)
    assert accepted(said), said
    assert said["headers"]["location"].startswith("http://127.0.0.1:")
    assert name in ids(list(emsp.holds("cdrs").values()), cpo)
    assert name in ids(emsp.listed("cdrs"), cpo)
