"""Who sees whose Locations and Tariffs (GET All, Client Owned Object Pull)."""

import pytest

from hub.models import Agreement, Party, Platform
from hub.ocpi.datatypes import ConnectionStatus, Role
from hub.ocpi.party import PartyId
from hub.routing.directory import load
from hub.store.pushed import Pushed
from hub.store.sharing import shared_with
from locations.models import Location
from tests.hub.pushing import location_of

pytestmark = pytest.mark.django_db
CPO, OTHER, EMSP = PartyId("NL", "CPO"), PartyId("NL", "CP2"), PartyId("DE", "MSP")


@pytest.fixture(autouse=True)
def _parties():
    for party, role in ((CPO, Role.CPO), (OTHER, Role.CPO), (EMSP, Role.EMSP)):
        Party.objects.create(
            platform=Platform.objects.create(name=str(party)),
            country_code=party.country_code,
            party_id=party.party_id,
            role=role,
            status=ConnectionStatus.CONNECTED,
        )
    for party in (CPO, OTHER):
        keep(party)


def keep(party: PartyId, location_id: str = "L") -> None:
    body = str(location_of(party, location_id)).replace("'", '"').replace("True", "true")
    Location.push(Pushed("PUT", party, (location_id,), {}, body.encode()))


def seen(viewer: PartyId = EMSP) -> set[str]:
    return set(shared_with(Location, viewer, load()).values_list("owner", flat=True))


def agree(one: PartyId, other: PartyId, *, is_open: bool, module: str = "") -> None:
    Agreement.objects.create(
        country_code_a=one.country_code,
        party_id_a=one.party_id,
        country_code_b=other.country_code,
        party_id_b=other.party_id,
        is_open=is_open,
        module=module,
    )


def test_an_open_hub_shows_everything_that_is_not_closed():
    assert seen() == {"NL-CPO", "NL-CP2"}
    agree(CPO, EMSP, is_open=False)
    assert seen() == {"NL-CP2"}
    agree(EMSP, CPO, is_open=True, module="locations")
    assert seen() == {"NL-CPO", "NL-CP2"}


def test_another_module_that_is_closed_does_not_matter():
    agree(CPO, EMSP, is_open=False, module="tariffs")
    assert seen() == {"NL-CPO", "NL-CP2"}


def test_a_contract_hub_shows_only_what_was_opened_and_ones_own(settings):
    settings.AGREEMENTS_OPEN_BY_DEFAULT = False
    assert seen() == set()
    assert seen(CPO) == {"NL-CPO"}
    agree(CPO, EMSP, is_open=True)
    assert seen() == {"NL-CPO"}


def test_what_a_party_left_behind_is_not_shown_by_a_contract_hub(settings):
    settings.AGREEMENTS_OPEN_BY_DEFAULT = False
    keep(PartyId("XX", "ZZZ"))
    assert seen() == set()


def test_a_suspended_owner_is_hidden_but_from_itself():
    Party.objects.filter(party_id="CPO").update(status=ConnectionStatus.SUSPENDED)
    assert seen() == {"NL-CP2"}
    assert seen(CPO) == {"NL-CPO", "NL-CP2"}


def test_who_is_offline_is_still_shown():
    Party.objects.filter(party_id="CPO").update(status=ConnectionStatus.OFFLINE)
    assert seen() == {"NL-CPO", "NL-CP2"}


def test_closing_a_pair_hides_its_variants_too():
    changes = b'{"city":"X","last_updated":"2026-01-02T00:00:00Z"}'
    Location.push(Pushed("PATCH", CPO, ("L",), {}, changes, str(EMSP)))
    assert seen() == {"NL-CPO", "NL-CP2"}
    agree(CPO, EMSP, is_open=False)
    assert seen() == {"NL-CP2"}
