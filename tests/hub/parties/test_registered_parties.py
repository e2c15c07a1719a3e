"""Several roles and parties on one platform, and whose a party is (credentials)."""

import threading

import pytest
from django.db import connection, transaction

from hub.models import Party
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding, still_alive
from simulators.testing import PATIENCE
from tests.hub.newcomer import Newcomer, at_once, is_as_it_was, platform_of, role
from tests.hub.strangers import RECEIVER, SENDER, until
from tests.running_hub import new_party

# --- Parties --------------------------------------------------------------------------------------


def test_several_roles_and_parties_live_on_one_platform(hub):
    second, third = new_party("BE"), new_party("lu")
    newcomer = Newcomer(
        hub, Role.CPO, Role.EMSP, more=((second, Role.CPO), (third, Role.CPO), (third, Role.EMSP))
    )
    assert newcomer.post().said == (200, 1000)
    parties = Party.objects.filter(platform=platform_of(newcomer))
    assert {(party.identity, party.role, party.status) for party in parties} == {
        (newcomer.party, "CPO", "CONNECTED"),
        (newcomer.party, "EMSP", "CONNECTED"),
        (second, "CPO", "CONNECTED"),
        (PartyId("LU", third.party_id), "CPO", "CONNECTED"),
        (PartyId("LU", third.party_id), "EMSP", "CONNECTED"),
    }


@pytest.mark.parametrize("spelling", [str.upper, str.lower])
def test_a_party_of_another_platform_is_refused_and_the_first_stays(hub, spelling):
    first = Newcomer(hub, Role.CPO)
    first.post()
    second = Newcomer(hub, Role.EMSP)
    stolen = role(first.party, "EMSP", party_id=spelling(first.party.party_id))
    answer = second.post(roles=[role(second.party, "EMSP"), stolen])
    assert answer.said == (200, 2001)
    assert str(first.party) in answer.envelope["status_message"]
    assert is_as_it_was(second)
    assert [p.role for p in Party.objects.filter(party_id__iexact=first.party.party_id)] == ["CPO"]
    assert first.opens(first.token)


def test_a_party_that_is_only_invited_is_not_for_others_to_take(hub):
    invited = new_party()
    token = onboarding.invite(invited, [Role.CPO], "").token
    thief = Newcomer(hub)
    assert thief.post(roles=[role(thief.party), role(invited)]).said == (200, 2001)
    assert thief.opens(token)


@pytest.mark.parametrize("turn", range(2))
def test_of_two_that_claim_the_same_parties_at_the_same_moment_one_gets_them(hub, turn):
    wanted = [new_party(), new_party()]
    rivals = [Newcomer(hub), Newcomer(hub)]
    bodies = [
        rival.credentials(roles=[role(rival.party), *(role(party) for party in order)])
        for rival, order in zip(rivals, (wanted, wanted[::-1]), strict=True)
    ]
    answers = at_once(
        *(lambda r=r, b=b: r.say("POST", b).said for r, b in zip(rivals, bodies, strict=True))
    )
    assert sorted(answers) == [(200, 1000), (200, 2001)]
    winner, loser = rivals if answers[0] == (200, 1000) else rivals[::-1]
    owners = {Party.objects.get(party_id=party.party_id).platform_id for party in wanted}
    assert owners == {platform_of(winner).pk}
    assert is_as_it_was(loser)


def _waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        # Else one transaction sees the same activity each time.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def test_writing_down_who_was_heard_and_registering_do_not_lock_each_other_out(hub):
    """The invited platform has just been heard, and nothing is known of its health yet."""
    newcomer = Newcomer(hub)
    platform = platform_of(newcomer)
    answers = []

    def write_heard():
        still_alive.write_heard({platform.pk: 0.0})
        connection.close()

    threads = [
        threading.Thread(target=lambda: answers.append(newcomer.post().said)),
        threading.Thread(target=write_heard),
    ]
    with transaction.atomic():
        # The registration stops here, with the platform locked.
        list(platform.parties.select_for_update())
        for number, thread in enumerate(threads, start=1):
            thread.start()
            until(lambda number=number: _waiting_for_locks() >= number)
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == [(200, 1000)]


def test_an_invitation_for_a_party_that_is_registered_is_refused(hub):
    newcomer = Newcomer(hub)
    newcomer.post()
    with pytest.raises(onboarding.CannotInvite, match=r"manage\.py end_registration XX"):
        onboarding.invite(newcomer.party, [Role.CPO], "")
    assert newcomer.opens(newcomer.token)


def test_a_second_invitation_ends_the_first(hub):
    newcomer = Newcomer(hub)
    again = onboarding.invite(newcomer.party, [Role.CPO], "").token
    assert newcomer.opens(again)
    assert not newcomer.opens(newcomer.token_a)


def test_interfaces_that_are_offered_are_stored_with_their_urls(hub):
    offers = (("tokens", SENDER), ("sessions", RECEIVER))
    newcomer = Newcomer(hub, offers=offers)
    newcomer.post()
    stored = {(e.identifier, InterfaceRole(e.role)) for e in platform_of(newcomer).endpoints.all()}
    assert stored >= set(offers)
    assert ("tokens", RECEIVER) not in stored
