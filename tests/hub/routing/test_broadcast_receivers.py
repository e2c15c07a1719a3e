"""Who gets a Broadcast Push, how, and when (transport_and_format, Broadcast Push)."""

import json
from collections.abc import Callable

import pytest

from hub.models import Agreement, Party, StaleCopy
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.routing.directory import holder
from hub.routing.receivers import broadcast_receivers
from tests.hub.pushing import HUB, T1, T2, T3, Owner, location_of, settled, tariff_of
from tests.hub.strangers import OFFERS, Stranger, ask, raw, routing, send, token_of, until
from tests.running_hub import new_party

MODULES: dict[str, Callable[..., dict]] = {"locations": location_of, "tariffs": tariff_of}


@pytest.fixture(scope="module")
def parties(hub):
    """One of each role."""
    return {role: hub.join(Stranger(role)) for role in Role if role is not Role.HUB}


@pytest.fixture(autouse=True)
def _forget_messages(parties):
    for running in parties.values():
        running.simulator.got.clear()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    ("sender", "receivers"),
    [
        (Role.CPO, {Role.EMSP, Role.NSP, Role.OTHER, Role.NAP}),
        (Role.OTHER, {Role.CPO}),
    ],
)
@pytest.mark.parametrize("to", [HUB, None])
def test_a_push_goes_to_every_opposite_role_and_nobody_else(
    hub, parties, module, sender, receivers, to
):
    owner = Owner(hub, parties[sender], module)
    object_id = f"{sender}-{to is None}"
    assert owner.put(object_id, body=MODULES[module](owner.party, object_id), to=to).code == 1000
    for role in receivers:
        (message,) = owner.told(parties[role], object_id, 1)
        assert message.from_party == HUB
        assert message.to_party == parties[role].simulator.party
        # "the party-id and country-code in the URL segments will still be the original".
        assert message.parts == (*owner.party, object_id)
    for role in set(parties) - receivers:
        assert not owner.heard(parties[role], object_id)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("to", [HUB, None])
@pytest.mark.parametrize("sender", [Role.EMSP, Role.NSP, Role.NAP, Role.SCSP])
def test_a_role_that_has_none_to_tell_is_refused_and_nothing_is_kept(
    hub, parties, module, sender, to
):
    owner = Owner(hub, parties[sender], module)
    answer = owner.put("none", body=MODULES[module](owner.party, "none"), to=to)
    assert answer.said == (200, 4000)
    assert sender in answer.envelope["status_message"]
    assert owner.kept("none") is None


def test_ids_of_messages_are_new_and_the_correlation_id_is_kept(hub, parties):
    owner = Owner(hub, parties[Role.CPO], "locations")
    body = json.dumps(location_of(owner.party, "ids")).encode()
    sent = routing(HUB, owner.party) | {"X-Request-ID": "r-1", "X-Correlation-ID": "c-1"}
    path = f"/ocpi/2.2.1/{owner.path('ids')}"
    send(hub, "PUT", path, token_of(owner.running), body=body, headers=sent)
    told = [owner.told(parties[role], "ids", 1)[0].headers for role in (Role.EMSP, Role.NSP)]
    assert {one["X-Correlation-ID"] for one in told} == {"c-1"}
    assert len({one["X-Request-ID"] for one in told} | {"r-1"}) == 3


def test_a_platform_of_several_parties_gets_one_each_and_the_senders_own_gets_none(hub, parties):
    first, second, third = (new_party() for _ in range(3))
    several = hub.join(
        Stranger(Role.EMSP, party=first, more=[(second, Role.NSP), (third, Role.CPO)])
    )
    owner = Owner(hub, parties[Role.CPO], "locations")
    owner.put("several", body=location_of(owner.party, "several"))
    told = owner.told(several, "several", 2)
    assert sorted(one.to_party for one in told) == sorted([first, second])
    # The platform's own CPO tells the others, but not the eMSP at its side.
    body = json.dumps(location_of(third, "own side")).encode()
    path = f"receiver/locations/{'/'.join(third)}/own%20side"
    sent = {"OCPI-from-country-code": third.country_code, "OCPI-from-party-id": third.party_id}
    assert ask(hub, several, "PUT", path, to=HUB, body=body, headers=sent).code == 1000
    Owner(hub, several, "locations").told(parties[Role.EMSP], "own side", 1)
    assert not Owner(hub, several, "locations").heard(several, "own side")


def test_only_who_offers_the_module_gets_it(hub, parties):
    offers = [one for one in OFFERS if one != ("locations", InterfaceRole.RECEIVER)]
    without = hub.join(Stranger(Role.EMSP, offers=offers))
    owner = Owner(hub, parties[Role.CPO], "locations")
    owner.put("offer", body=location_of(owner.party, "offer"))
    owner.told(parties[Role.EMSP], "offer", 1)
    assert not owner.heard(without, "offer")
    told = broadcast_receivers(holder.current(), owner.party, "locations")
    assert without.simulator.party not in {entry.identity for entry in told}


@pytest.mark.parametrize(
    "status", [ConnectionStatus.OFFLINE, ConnectionStatus.PLANNED, ConnectionStatus.SUSPENDED]
)
def test_only_who_is_connected_gets_it_and_finds_it_in_the_list_later(hub, parties, status):
    away = hub.join(Stranger(Role.EMSP))
    owner = Owner(hub, parties[Role.CPO], "locations")
    rows = Party.objects.filter(party_id=away.simulator.party.party_id)

    def is_told() -> bool:
        told = broadcast_receivers(holder.current(), owner.party, "locations")
        return away.simulator.party in {entry.identity for entry in told}

    def become(new: ConnectionStatus) -> None:
        for row in rows:
            row.status = new
            row.save()

    until(is_told)
    become(status)
    until(lambda: not is_told())
    object_id = f"away {status}"
    owner.put(object_id, body=location_of(owner.party, object_id))
    owner.told(parties[Role.EMSP], object_id, 1)
    assert not owner.heard(away, object_id)
    become(ConnectionStatus.CONNECTED)
    until(is_told)
    assert owner.kept(object_id, viewer=away) is not None


def test_a_closed_pair_gets_nothing_and_sees_nothing(hub, parties):
    owner = Owner(hub, parties[Role.CPO], "locations")
    emsp, nsp = parties[Role.EMSP], parties[Role.NSP]
    owner.put("closed", body=location_of(owner.party, "closed"))
    assert owner.kept("closed", viewer=emsp) is not None
    row = Agreement.objects.create(
        country_code_a=owner.party.country_code,
        party_id_a=owner.party.party_id,
        country_code_b=emsp.simulator.party.country_code,
        party_id_b=emsp.simulator.party.party_id,
        is_open=False,
        module="locations",
    )
    until(lambda: owner.kept("closed", viewer=emsp) is None)
    owner.put("closed 2", body=location_of(owner.party, "closed 2"))
    owner.told(nsp, "closed 2", 1)
    assert not owner.heard(emsp, "closed 2")
    row.delete()
    until(lambda: owner.kept("closed 2", viewer=emsp) is not None)


def test_with_nobody_there_it_is_kept_for_who_comes(hub, parties):
    owner = Owner(hub, parties[Role.OTHER], "locations")
    rows = Party.objects.filter(role=Role.CPO)
    for row in rows:
        row.status = ConnectionStatus.OFFLINE
        row.save()

    until(lambda: not broadcast_receivers(holder.current(), owner.party, "locations"))
    assert owner.put("alone", body=location_of(owner.party, "alone")).said == (201, 1000)
    assert not StaleCopy.objects.filter(object_id="ALONE").exists()
    assert owner.kept("alone", viewer=parties[Role.NSP]) is not None
    for row in rows:
        row.status = ConnectionStatus.CONNECTED
        row.save()
    newcomer = hub.join(Stranger(Role.CPO))
    until(lambda: owner.kept("alone", viewer=newcomer) is not None)


def test_quick_updates_of_one_object_arrive_in_their_order(hub, parties):
    owner = Owner(hub, parties[Role.CPO], "locations")
    seen = []

    def says(message):
        if "/order" in message.path:
            seen.append(message)
        return raw()

    parties[Role.NAP].simulator.says = says
    for moment in (T1, T2, T3):
        owner.put("order", body=location_of(owner.party, "order", city=moment, last_updated=moment))
        owner.patch("order", "3256", body={"status": "CHARGING", "last_updated": moment})
    until(lambda: seen and T3 in seen[-1].body.decode())
    settled()
    moments = [json.loads(one.body)["last_updated"] for one in seen]
    assert moments == sorted(moments)
    # Whatever they were told by, it is the newest.
    last = json.loads(seen[-1].body)
    assert last.get("evses", [last])[0]["status"] == "CHARGING"
    parties[Role.NAP].simulator.says = Stranger.says_yes


def test_an_error_of_a_receiver_does_not_reach_the_sender(hub, parties):
    owner = Owner(hub, parties[Role.CPO], "locations")
    emsp = parties[Role.EMSP]
    emsp.simulator.says = lambda message: raw(b'{"status_code":2001,"timestamp":"2026Z"}')
    assert owner.put("error", body=location_of(owner.party, "error")).said == (201, 1000)
    owner.told(emsp, "error", 1)
    emsp.simulator.says = Stranger.says_yes
    owner.told(parties[Role.NSP], "error", 1)


@pytest.mark.parametrize("module", ["sessions", "cdrs"])
def test_what_is_for_one_party_is_never_broadcast(hub, parties, module):
    owner = Owner(hub, parties[Role.CPO], module)
    method, path = ("POST", "receiver/cdrs") if module == "cdrs" else ("PUT", owner.path("1"))
    answer = ask(hub, owner.running, method, path, to=HUB, body=b"{}")
    assert answer.said == (200, 4000)
    assert "never broadcast" in answer.envelope["status_message"]
