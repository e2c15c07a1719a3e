"""An aggregator's word and the owner's own (Client Owned Object Push and Pull): one store."""

import json
from datetime import datetime

import pytest

from hub.ocpi.errors import UnknownLocation
from hub.ocpi.party import PartyId
from hub.store.pushed import EVERYBODY, ITS_OWNER, Pushed, PushOutcome
from hub.store.store import Whole
from locations.models import Location
from tariffs.models import Tariff
from tests.hub.pushing import T1, T2, T3, location_of, tariff_of

pytestmark = pytest.mark.django_db
OWNER = PartyId("NL", "OWN")
NAP, SECOND_NAP = "NL-NAP", "BE-NAP"


def push(
    moment: str, told_by: str = ITS_OWNER, method: str = "PUT", audience: str = ""
) -> PushOutcome:
    body = location_of(OWNER, "L", last_updated=moment, name=f"{told_by or 'own'} {moment}")
    if method == "PATCH":
        body = {"name": body["name"], "last_updated": moment}
    document = json.dumps(body).encode()
    return Location.push(Pushed(method, OWNER, ("L",), {}, document, audience, told_by)).kept


def pulled(moment: str, told_by: str = ITS_OWNER) -> bool:
    body = location_of(OWNER, "L", last_updated=moment, name=f"{told_by or 'own'} {moment}")
    document = json.dumps(body).encode()
    whole = Whole(("NL-OWN", "L"), document, datetime.fromisoformat(moment))
    return bool(Location.keep_changed([whole], told_by))


def kept(audience: str = EVERYBODY) -> str:
    return str(json.loads(bytes(Location.objects.get(audience=audience).document))["name"])


def test_an_aggregator_tells_what_its_owner_does_not():
    assert push(T1, NAP) is PushOutcome.CREATED
    assert push(T2, NAP) is PushOutcome.CHANGED
    assert push(T1, NAP) is PushOutcome.OLDER
    assert push(T3, NAP, "PATCH") is PushOutcome.CHANGED
    assert kept() == f"NL-NAP {T3}"


@pytest.mark.parametrize("tell", [push, pulled])
def test_the_owners_own_word_takes_its_place_however_old_it_is(tell):
    assert push(T3, NAP)
    assert tell(T1)
    assert kept() == f"own {T1}"
    assert Location.objects.get().told_by == ITS_OWNER


@pytest.mark.parametrize("tell", [push, pulled])
@pytest.mark.parametrize("own_audience", [EVERYBODY, "DE-MSP"])
def test_no_aggregator_replaces_what_the_owner_tells_to_anybody(tell, own_audience):
    assert push(T1, audience=own_audience)
    assert not tell(T3, NAP)
    assert push(T3, NAP, "PATCH") is PushOutcome.OLDER
    assert Location.objects.count() == 1
    assert kept(own_audience) == f"own {T1}"


def test_a_patch_of_the_owner_needs_a_put_of_its_own():
    assert push(T1, NAP)
    with pytest.raises(UnknownLocation):
        push(T2, method="PATCH")
    assert kept() == f"NL-NAP {T1}"


def test_a_patch_of_one_aggregator_does_not_change_what_another_has_put():
    assert push(T1, NAP)
    with pytest.raises(UnknownLocation):
        push(T2, SECOND_NAP, "PATCH")
    assert push(T2, SECOND_NAP) is PushOutcome.CHANGED
    assert kept() == f"BE-NAP {T2}"


def test_the_pulls_of_two_aggregators_are_guarded_by_time():
    assert pulled(T2, NAP)
    assert not pulled(T1, SECOND_NAP)
    assert pulled(T3, SECOND_NAP)
    assert not pulled(T3, SECOND_NAP)
    assert kept() == f"BE-NAP {T3}"


def test_what_the_owner_tells_one_party_leaves_the_aggregators_word_to_the_others():
    assert push(T2, NAP)
    assert push(T1, audience="DE-MSP")
    assert kept() == f"NL-NAP {T2}"
    assert kept("DE-MSP") == f"own {T1}"


def tariff(method: str = "PUT", told_by: str = ITS_OWNER, moment: str = T1) -> PushOutcome:
    body = json.dumps(tariff_of(OWNER, "T", last_updated=moment)).encode()
    sent = body if method == "PUT" else b""
    return Tariff.push(Pushed(method, OWNER, ("T",), {}, sent, told_by=told_by)).kept


def test_an_aggregator_ends_no_tariff_that_its_owner_tells():
    assert tariff()
    assert tariff("DELETE", NAP) is PushOutcome.OLDER
    assert Tariff.objects.count() == 1
    assert tariff("DELETE") is PushOutcome.CHANGED
    assert tariff("PUT", NAP)
    assert tariff("DELETE", NAP) is PushOutcome.CHANGED
    assert not Tariff.objects.exists()
