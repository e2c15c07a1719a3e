"""Agreements: which pairs of parties may exchange what (HubClientInfo, PLANNED)."""

import pytest

from hub.models import Agreement
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.routing.directory import load
from tests.hub.strangers import CUSTOM, Stranger, ask, until
from tests.running_hub import changed_setting


@pytest.fixture(autouse=True)
def _no_agreements(request):
    """Each test begins without any."""
    yield
    if "hub" in request.fixturenames:
        Agreement.objects.all().delete()


def _agree(one: PartyId, other: PartyId, *, is_open: bool, module: str = "", note: str = ""):
    return Agreement.objects.create(
        country_code_a=one.country_code,
        party_id_a=one.party_id,
        country_code_b=other.country_code,
        party_id_b=other.party_id,
        is_open=is_open,
        module=module,
        note=note,
    )


def test_a_closed_pair_gets_4003_with_the_reason_in_both_directions(hub, cpo, emsp):
    one, other = cpo.simulator.party, emsp.simulator.party
    _agree(one, other, is_open=False, note="no contract yet")
    answer = until(lambda: (a := ask(hub, cpo, "GET", "sender/tokens", to=emsp)).code == 4003 and a)
    assert answer.status == 200
    assert "no contract yet" in answer.envelope["status_message"]
    back = ask(hub, emsp, "GET", "sender/locations", to=cpo)
    assert back.said == (200, 4003)
    assert "no contract yet" in back.envelope["status_message"]


def test_the_operators_word_is_taken_back_at_once(hub, cpo, emsp):
    row = _agree(cpo.simulator.party, emsp.simulator.party, is_open=False)
    until(lambda: ask(hub, cpo, "GET", "sender/tokens", to=emsp).code == 4003)
    row.delete()
    until(lambda: ask(hub, cpo, "GET", "sender/tokens", to=emsp).code == 1000)


def test_a_module_can_be_closed_alone_and_a_closed_pair_opened_for_one(hub, cpo, emsp):
    one, other = cpo.simulator.party, emsp.simulator.party
    _agree(one, other, is_open=False, module="tokens")
    until(lambda: ask(hub, cpo, "GET", "sender/tokens", to=emsp).code == 4003)
    assert ask(hub, cpo, "GET", "sender/tariffs", to=emsp).code == 1000
    # In this order: whoever has seen the pair closed has seen what is open all the same.
    _agree(other, one, is_open=True, module=CUSTOM)
    _agree(one, other, is_open=False)
    until(lambda: ask(hub, cpo, "GET", "sender/tariffs", to=emsp).code == 4003)
    assert ask(hub, cpo, "GET", f"sender/{CUSTOM}", to=emsp).code == 1000


def test_a_third_party_is_not_concerned(hub, cpo, emsp):
    third = hub.join(Stranger(Role.EMSP, listens=False))
    _agree(cpo.simulator.party, emsp.simulator.party, is_open=False)
    until(lambda: ask(hub, cpo, "GET", "sender/tokens", to=emsp).code == 4003)
    assert ask(hub, cpo, "GET", "sender/tokens", to=third).code == 1000
    assert ask(hub, emsp, "GET", "sender/tokens", to=third).code == 1000


def test_a_closed_pair_is_closed_for_callbacks_too(hub, cpo, emsp):
    url = f"{emsp.url}/api/ocpi/2.2.1/sender/commands/START_SESSION/1"
    body = b'{"response_url":"%s"}' % url.encode()
    start = "receiver/commands/START_SESSION"
    until(lambda: ask(hub, emsp, "POST", start, to=cpo, body=body).code == 1000)
    rewritten = cpo.simulator.got[-1].json()["response_url"]
    _agree(cpo.simulator.party, emsp.simulator.party, is_open=False, module="commands")
    until(lambda: ask(hub, cpo, "POST", rewritten, to=emsp, body=b"{}").said == (200, 4003))
    emsp.simulator.got.clear()
    assert ask(hub, cpo, "POST", rewritten, to=emsp, body=b"{}").said == (200, 4003)
    assert not emsp.simulator.got


def test_a_contract_hub_opens_only_what_was_opened(hub, cpo, emsp):
    one, other = cpo.simulator.party, emsp.simulator.party
    row = _agree(one, other, is_open=True, module="tokens")
    with changed_setting("AGREEMENTS_OPEN_BY_DEFAULT", False):
        row.save()  # Has the directory read anew, with the setting of a contract hub.
        until(lambda: ask(hub, cpo, "GET", "sender/tariffs", to=emsp).code == 4003)
        assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).code == 1000
    row.save()
    until(lambda: ask(hub, cpo, "GET", "sender/tariffs", to=emsp).code == 1000)


ONE, OTHER = PartyId("NL", "ONE"), PartyId("DE", "TWO")


@pytest.mark.parametrize("is_open_by_default", [True, False])
@pytest.mark.parametrize("all_modules", [None, True, False])
@pytest.mark.parametrize("this_module", [None, True, False])
@pytest.mark.django_db
def test_the_word_on_the_module_goes_before_that_on_all_and_that_before_the_default(
    settings, is_open_by_default, all_modules, this_module
):
    settings.AGREEMENTS_OPEN_BY_DEFAULT = is_open_by_default
    if all_modules is not None:
        _agree(ONE, OTHER, is_open=all_modules)
    if this_module is not None:
        _agree(ONE, OTHER, is_open=this_module, module="sessions")
    words = [word for word in (this_module, all_modules, is_open_by_default) if word is not None]
    directory = load()
    for pair in ((ONE, OTHER), (OTHER, ONE)):
        assert (directory.closed_because(*pair, "sessions") is None) == words[0]
        others = [word for word in (all_modules, is_open_by_default) if word is not None]
        assert (directory.closed_because(*pair, "tokens") is None) == others[0]


@pytest.mark.django_db
def test_a_party_that_is_spelled_in_lower_case_in_an_agreement_is_the_same():
    _agree(PartyId("nl", "one"), PartyId("de", "two"), is_open=False)
    assert load().closed_because(ONE, OTHER, "sessions") is not None
