"""Who may come: an invitation is for a party in a role (docs/decisions/0020)."""

from typing import Any

import pytest

from hub.models import Admission, Party, PlatformHealth
from hub.models.parties import rows_of
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding
from hub.routing.directory import load, wait_until_confirmed
from simulators.testing import Running
from tests.hub.newcomer import Newcomer, is_as_it_was, platform_of, role
from tests.hub.strangers import Reply, Stranger, ask, routing, send, until
from tests.running_hub import changed_setting, new_party

CLIENT_INFO = "/ocpi/2.2.1/hubclientinfo"


@pytest.fixture(scope="module")
def other(hub):
    """An eMSP that is told of everybody."""
    return hub.join(Stranger(Role.EMSP))


def registered(hub, *named: dict[str, Any]) -> Newcomer:
    """Invited as CPO; its credentials name that, and `named` beside it."""
    newcomer = Newcomer(hub)
    assert newcomer.post(roles=[role(newcomer.party), *named]).said == (200, 1000)
    return newcomer


def rows(party: PartyId) -> dict[str, tuple[str, str]]:
    """Admission and status by role."""
    return {row.role: (row.admission, row.status) for row in rows_of(party)}


def told(hub, other) -> dict[tuple[str, str], str]:
    """What the others see in hubclientinfo."""
    answer = ask(hub, other, "GET", f"{CLIENT_INFO}?limit=1000")
    return {(o["party_id"], o["role"]): o["status"] for o in answer.envelope["data"]}


def sends(hub, newcomer: Newcomer, sender: PartyId, to: PartyId) -> Reply:
    headers = routing(to, sender)
    return send(hub, "GET", "/ocpi/2.2.1/sender/tokens", newcomer.token, headers=headers)


# --- Credentials and the invitation ---------------------------------------------------------------


def test_credentials_without_the_invited_party_are_refused_and_name_it(hub):
    newcomer, somebody = Newcomer(hub), new_party()
    answer = newcomer.post(roles=[role(somebody)])
    assert answer.said == (200, 2001)
    message = answer.envelope["status_message"]
    assert f"name {somebody}, but the invitation is for {newcomer.party}" in message
    assert not newcomer.stranger.received
    assert is_as_it_was(newcomer)


def test_a_put_without_the_invited_party_is_refused_and_changes_nothing(hub):
    newcomer, old = registered(hub), new_party()
    token = newcomer.token
    assert newcomer.put(roles=[role(old)]).said == (200, 2001)
    assert newcomer.opens(token)
    assert rows(newcomer.party) == {"CPO": ("INVITED", "CONNECTED")}


@pytest.mark.parametrize("name", ["HUB", "hub"])
def test_the_role_hub_is_refused_and_says_so(hub, name):
    newcomer = Newcomer(hub)
    for roles in (
        [role(newcomer.party, name)],
        [role(newcomer.party), role(new_party(), name)],
    ):
        answer = newcomer.post(roles=roles)
        assert answer.said == (200, 2001)
        assert "role HUB, which is the hub's own" in answer.envelope["status_message"]
    assert is_as_it_was(newcomer)


def test_a_mistyped_role_waits_and_disappears_when_it_is_corrected(hub, other):
    newcomer = Newcomer(hub)
    answer = newcomer.post(roles=[role(newcomer.party, "NSP")])
    assert answer.said == (200, 1000)
    message = answer.envelope["status_message"]
    assert f"{newcomer.party} NSP: beyond your invitation, PLANNED until" in message
    assert rows(newcomer.party) == {"CPO": ("INVITED", "PLANNED"), "NSP": ("CLAIMED", "PLANNED")}
    assert newcomer.ask(CLIENT_INFO).said == (403, 2000)
    assert newcomer.put(roles=[role(newcomer.party)]).said == (200, 1000)
    assert rows(newcomer.party) == {"CPO": ("INVITED", "CONNECTED")}
    assert newcomer.ask(CLIENT_INFO).said == (200, 1000)
    assert told(hub, other)[newcomer.party.party_id, "CPO"] == "CONNECTED"
    assert (newcomer.party.party_id, "NSP") not in told(hub, other)


def test_an_invitation_that_is_corrected_is_for_its_last_roles_alone(hub, other):
    party = new_party()

    def pushes() -> list[str]:
        found = other.received(module="hubclientinfo", method="PUT")
        return [
            one.json()["status"]
            for one in found
            if one.parts[1] == party.party_id and one.json()["role"] == "EMSP"
        ]

    onboarding.invite(party, [Role.EMSP, Role.NSP], "")
    # Whoever has not heard of it yet need not hear of its end.
    until(lambda: pushes() == ["PLANNED"])
    onboarding.invite(party, [Role.CPO, Role.NSP], "")
    assert rows(party) == {"CPO": ("INVITED", "PLANNED"), "NSP": ("INVITED", "PLANNED")}
    assert (party.party_id, "EMSP") not in told(hub, other)
    until(lambda: pushes()[-1:] == ["SUSPENDED"])


# --- Beyond the invitation ------------------------------------------------------------------------


def test_a_further_party_in_an_invited_role_is_taken(hub, other):
    extra = new_party()
    newcomer = registered(hub, role(extra))
    assert rows(extra) == {"CPO": ("TAKEN", "CONNECTED")}
    assert told(hub, other)[extra.party_id, "CPO"] == "CONNECTED"
    assert ask(hub, other, "GET", "sender/tokens", to=extra).said == (200, 1000)
    assert sends(hub, newcomer, extra, other.simulator.party).said == (200, 1000)


def test_a_further_party_in_another_role_is_told_to_nobody_and_opens_nothing(hub, other):
    extra = new_party()
    newcomer = registered(hub, role(extra, "EMSP"))
    assert rows(extra) == {"EMSP": ("CLAIMED", "PLANNED")}
    assert (extra.party_id, "EMSP") not in told(hub, other)
    assert ask(hub, other, "GET", "sender/tokens", to=extra).said == (200, 4001)
    refused = sends(hub, newcomer, extra, other.simulator.party)
    assert refused.said == (403, 2000)
    assert "has agreed to" in refused.envelope["status_message"]
    # Without FROM the platform has one party, not two.
    headers = routing(other.simulator.party)
    path = "/ocpi/2.2.1/sender/tokens"
    assert send(hub, "GET", path, newcomer.token, headers=headers).said == (200, 1000)

    def pushes(party: PartyId) -> list[Any]:
        return [m for m in other.received(module="hubclientinfo") if party.party_id in m.parts]

    until(lambda: pushes(newcomer.party))
    assert not pushes(extra)


def test_another_role_of_the_invited_party_waits_as_well(hub, other):
    newcomer = Newcomer(hub)
    newcomer.post(roles=[role(newcomer.party), role(newcomer.party, "EMSP")])
    assert rows(newcomer.party)["EMSP"] == ("CLAIMED", "PLANNED")
    assert load().parties[newcomer.party].roles == {Role.CPO}
    assert (newcomer.party.party_id, "EMSP") not in told(hub, other)
    assert onboarding.agree(newcomer.party, "EMSP")
    assert rows(newcomer.party)["EMSP"] == ("AGREED", "CONNECTED")
    assert load().parties[newcomer.party].roles == {Role.CPO, Role.EMSP}
    assert told(hub, other)[newcomer.party.party_id, "EMSP"] == "CONNECTED"
    assert newcomer.put(roles=[role(newcomer.party), role(newcomer.party, "EMSP")]).code == 1000
    assert rows(newcomer.party)["EMSP"] == ("AGREED", "CONNECTED")
    assert not onboarding.agree(newcomer.party)


def test_a_platform_that_brings_more_than_the_limit_has_the_others_wait(hub):
    extras = [new_party() for _ in range(4)]
    with changed_setting("MAX_UNINVITED_PARTIES", 2):
        newcomer = registered(hub, *map(role, extras))
        admissions = [rows(extra)["CPO"][0] for extra in extras]
        assert admissions == ["TAKEN", "TAKEN", "CLAIMED", "CLAIMED"]
        # Who changes its parties each day takes no more names than others.
        later = [new_party() for _ in range(2)]
        newcomer.put(roles=[role(newcomer.party), *map(role, later)])
        assert [rows(extra)["CPO"] for extra in later] == [("CLAIMED", "PLANNED")] * 2
        assert [rows(extra) for extra in extras[2:]] == [{}, {}]
        # What it had may come back.
        newcomer.put(roles=[role(newcomer.party), *map(role, extras[:2])])
        assert rows(extras[0]) == {"CPO": ("TAKEN", "CONNECTED")}


def test_where_nobody_is_taken_uninvited_all_wait_and_who_is_here_stays(hub):
    first, second = new_party(), new_party()
    newcomer = registered(hub, role(first))
    with changed_setting("ACCEPT_UNINVITED_PARTIES", False):
        newcomer.put(roles=[role(newcomer.party), role(first), role(second)])
        assert rows(first) == {"CPO": ("TAKEN", "CONNECTED")}
        assert rows(second) == {"CPO": ("CLAIMED", "PLANNED")}


def test_more_than_two_hundred_claims_are_refused(hub):
    newcomer = Newcomer(hub)
    names = [PartyId("ZZ", f"{number:03}") for number in range(201)]
    claims = [role(name, "EMSP") for name in names]
    answer = newcomer.post(roles=[role(newcomer.party), *claims])
    assert answer.said == (200, 2001)
    assert "201 parties beyond your invitation" in answer.envelope["status_message"]
    assert is_as_it_was(newcomer)
    assert newcomer.post(roles=[role(newcomer.party), *claims[:200]]).said == (200, 1000)
    assert Party.objects.filter(admission=Admission.CLAIMED, country_code="ZZ").count() == 200
    assert newcomer.put(roles=[role(newcomer.party)]).said == (200, 1000)
    assert not Party.objects.filter(country_code="ZZ").exists()


def test_a_claim_keeps_nobody_else_out(hub):
    party = new_party()
    registered(hub, role(party, "EMSP"))
    second = registered(hub, role(party))
    assert {row.platform_id for row in rows_of(party)} == {platform_of(second).pk}
    assert rows(party) == {"CPO": ("TAKEN", "CONNECTED")}


# --- Yielding to an invitation --------------------------------------------------------------------


def test_a_party_taken_unasked_yields_to_an_invitation_that_names_it(hub, other):
    party = new_party()
    squatter = registered(hub, role(party))
    token = onboarding.invite(party, [Role.CPO], "The real one").token
    assert rows(party) == {"CPO": ("INVITED", "PLANNED")}
    assert wait_until_confirmed()
    assert ask(hub, other, "GET", "sender/tokens", to=party).said == (200, 4003)
    assert sends(hub, squatter, party, other.simulator.party).said == (200, 2001)
    stolen = squatter.put(roles=[role(squatter.party), role(party)])
    assert stolen.said == (200, 2001)
    assert "belongs to another platform" in stolen.envelope["status_message"]
    real = Newcomer(hub, party=party)
    until(lambda: not real.opens(token))  # The newcomer was invited anew.
    assert real.post().said == (200, 1000)
    assert rows(party) == {"CPO": ("INVITED", "CONNECTED")}
    assert ask(hub, other, "GET", "sender/tokens", to=party).said == (200, 1000)


def test_a_suspended_party_that_yields_stays_suspended(hub):
    party = new_party()
    registered(hub, role(party))
    onboarding.suspend(party)
    real = Newcomer(hub, party=party)
    assert real.post().said == (200, 1000)
    assert rows(party) == {"CPO": ("INVITED", "SUSPENDED")}
    onboarding.resume(party)
    assert rows(party) == {"CPO": ("INVITED", "CONNECTED")}


def test_whom_the_operator_has_agreed_to_yields_to_nobody(hub):
    party = new_party()
    registered(hub, role(party, "EMSP"))
    onboarding.agree(party)
    with pytest.raises(onboarding.CannotInvite, match="is registered already"):
        onboarding.invite(party, [Role.CPO], "")


def test_inviting_one_party_again_agrees_to_that_one_alone(hub):
    taken, claimed = new_party(), new_party()
    newcomer = registered(hub, role(taken), role(claimed, "EMSP"))
    newcomer.delete()
    newcomer.token = onboarding.invite(newcomer.party, [Role.EMSP], "").token
    assert rows(newcomer.party)["EMSP"] == ("INVITED", "PLANNED")
    assert rows(taken) == {"CPO": ("TAKEN", "SUSPENDED")}
    assert rows(claimed) == {}
    # The role of the first invitation has to be agreed to anew, and it brings nobody along.
    newcomer.post(roles=[role(newcomer.party), role(newcomer.party, "EMSP"), role(taken)])
    assert rows(newcomer.party) == {
        "CPO": ("CLAIMED", "PLANNED"),
        "EMSP": ("INVITED", "CONNECTED"),
    }
    assert rows(taken) == {"CPO": ("CLAIMED", "PLANNED")}


# --- Withdrawn, suspended, resumed ----------------------------------------------------------------


def test_a_role_that_is_left_out_is_gone_at_once(hub, other):
    newcomer = Newcomer(hub, Role.CPO, Role.EMSP)
    newcomer.post()
    assert load().parties[newcomer.party].roles == {Role.CPO, Role.EMSP}
    newcomer.put(roles=[role(newcomer.party)])
    assert load().parties[newcomer.party].roles == {Role.CPO}
    assert told(hub, other)[newcomer.party.party_id, "EMSP"] == "SUSPENDED"
    assert told(hub, other)[newcomer.party.party_id, "CPO"] == "CONNECTED"


def test_resuming_restores_what_was_and_no_more(hub):
    newcomer, waiting = Newcomer(hub, Role.CPO, Role.EMSP, Role.NSP), new_party()
    named = [role(newcomer.party), role(newcomer.party, "EMSP"), role(waiting, "SCSP")]
    assert newcomer.post(roles=named).said == (200, 1000)
    newcomer.put(roles=[named[0], named[2]])
    before = rows(newcomer.party)
    assert before == {
        "CPO": ("INVITED", "CONNECTED"),
        "EMSP": ("INVITED", "SUSPENDED"),  # It has left.
        "NSP": ("INVITED", "PLANNED"),  # It has never come.
    }
    for party in (newcomer.party, waiting):
        onboarding.suspend(party)
        assert {status for _, status in rows(party).values()} == {"SUSPENDED"}
        assert onboarding.resume(party)
        assert not onboarding.resume(party)
    assert rows(newcomer.party) == before
    assert rows(waiting) == {"SCSP": ("CLAIMED", "PLANNED")}


def test_who_was_offline_is_offline_when_resumed(hub):
    newcomer = registered(hub)
    onboarding.suspend(newcomer.party)
    PlatformHealth.objects.filter(platform=platform_of(newcomer)).update(problem="gone")
    onboarding.resume(newcomer.party)
    assert rows(newcomer.party) == {"CPO": ("INVITED", "OFFLINE")}


def test_a_suspension_outlasts_a_put_that_leaves_the_party_out_and_names_it_again(hub):
    extra = new_party()
    newcomer = registered(hub, role(extra))
    onboarding.suspend(extra)
    for named in ([role(newcomer.party)], [role(newcomer.party), role(extra)]):
        newcomer.put(roles=named)
        assert rows(extra) == {"CPO": ("TAKEN", "SUSPENDED")}
    onboarding.resume(extra)
    assert rows(extra) == {"CPO": ("TAKEN", "CONNECTED")}


def test_a_suspension_holds_for_new_parties_of_the_platform(hub, other):
    newcomer, fresh = registered(hub), new_party()
    onboarding.suspend(newcomer.party)
    assert newcomer.put(roles=[role(newcomer.party), role(fresh)]).said == (200, 1000)
    assert rows(fresh) == {"CPO": ("TAKEN", "SUSPENDED")}
    assert sends(hub, newcomer, fresh, other.simulator.party).said == (403, 2000)
    assert ask(hub, other, "GET", "sender/tokens", to=fresh).said == (200, 4003)
    # Nor under a new name of a white-label that is suspended and left out.
    onboarding.resume(newcomer.party)
    newest = new_party()
    newcomer.put(roles=[role(newcomer.party), role(newest)])
    assert rows(newest) == {"CPO": ("TAKEN", "SUSPENDED")}


def test_hubclientinfo_is_closed_once_no_party_is_left_unsuspended(hub):
    extra = new_party()
    newcomer = registered(hub, role(extra))
    onboarding.suspend(newcomer.party)
    assert wait_until_confirmed()
    assert newcomer.ask(CLIENT_INFO).said == (200, 1000)
    onboarding.suspend(extra)
    assert wait_until_confirmed()
    closed = newcomer.ask(CLIENT_INFO)
    assert closed.said == (403, 2000)
    assert "is suspended by the operator" in closed.envelope["status_message"]
    for path in ("/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/credentials"):
        assert newcomer.ask(path).said == (200, 1000)
    assert newcomer.put().said == (200, 1000)
    onboarding.resume(newcomer.party)
    assert wait_until_confirmed()
    assert newcomer.ask(CLIENT_INFO).said == (200, 1000)


def test_a_platform_that_is_cut_off_is_not_told_of_the_others(hub):
    listener = hub.join(Stranger(Role.CPO))
    party = listener.simulator.party
    onboarding.suspend(party)
    witness = hub.join(Stranger(Role.EMSP))
    somebody = new_party()
    onboarding.invite(somebody, [Role.CPO], "")

    def told(of: Running[Stranger]) -> list[Any]:
        return [m for m in of.received(module="hubclientinfo") if somebody.party_id in m.parts]

    until(lambda: told(witness))
    assert not told(listener)
