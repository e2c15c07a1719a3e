"""Quotas of a party: objects in the hub's store, and URLs that the hub has given out for it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from hub.keeping.recount import count_anew
from hub.models import quotas
from hub.models.pulls import Pull
from hub.models.quotas import URLS, Usage
from hub.ocpi.datatypes import Role
from hub.sync import pull_tasks
from locations.models import Location
from simulators.testing import Running
from tariffs.models import Tariff
from tests.hub.lists import Lists, location
from tests.hub.pushing import T2, Owner, location_of, tariff_of
from tests.hub.strangers import Stranger, ask, raw, until
from tests.minimal import as_json, session, token
from tests.running_hub import changed_setting

MADE: dict[str, tuple[str, Role, Callable[..., dict[str, Any]]]] = {
    "locations": ("MAX_LOCATIONS_PER_PARTY", Role.CPO, location_of),
    "tariffs": ("MAX_TARIFFS_PER_PARTY", Role.CPO, tariff_of),
    "tokens": ("MAX_TOKENS_PER_PARTY", Role.EMSP, token),
}


def _joins(hub, role: Role) -> Running[Stranger]:
    """A party of its own for one test."""
    return hub.join(Stranger(role, listens=False))


def _usage(party: object, what: str) -> Usage:
    assert quotas.flush()
    return Usage.objects.get(party=str(party), what=what)


@pytest.mark.parametrize("module", MADE)
def test_beyond_its_quota_a_party_changes_what_is_there_and_adds_nothing(hub, cpo, emsp, module):
    setting, role, made = MADE[module]
    receiver = emsp if role is Role.CPO else cpo
    mine, other = Owner(hub, _joins(hub, role), module), Owner(hub, _joins(hub, role), module)
    with changed_setting(setting, 2):
        for one in ("ONE", "TWO"):
            assert mine.put(one, body=made(mine.party, one)).said == (201, 1000)
        answer = mine.put("THREE", body=made(mine.party, "THREE"))
        assert answer.said == (200, 2000)
        told = answer.envelope["status_message"]
        assert f"{mine.party} has its quota of 2 {module}" in told
        assert "operator" in told
        assert mine.kept("THREE") is None
        # What is there: whole, in part, for all and for one party.
        changed = made(mine.party, "ONE", last_updated=T2)
        assert mine.put("ONE", body=changed).said == (200, 1000)
        if module != "tariffs":
            assert mine.patch("TWO", body={"last_updated": T2}).said == (200, 1000)
        assert mine.put("ONE", body=changed, to=receiver).code == 1000
        refused = mine.put("FOUR", body=made(mine.party, "FOUR"), to=receiver)
        assert refused.said == (200, 2000)
        assert not any(mine.path("FOUR") in path for path in receiver.simulator.targets)
        assert any(mine.path("ONE") in path for path in receiver.simulator.targets)
        # Nobody else is concerned.
        assert other.put("THREE", body=made(other.party, "THREE")).said == (201, 1000)
        usage = _usage(mine.party, module)
        assert (usage.number, usage.refused, usage.most) == (3, 2, 2)
        if module == "tariffs":
            assert mine.send("DELETE", "TWO").code == 1000
            assert mine.send("DELETE", "ONE").code == 1000
            assert mine.put("THREE", body=made(mine.party, "THREE")).said == (201, 1000)
    assert mine.put("FOUR", body=made(mine.party, "FOUR")).said == (201, 1000)


def test_of_a_pulled_list_what_is_beyond_the_quota_is_left_out_and_counted(hub):
    source = _joins(hub, Role.CPO)
    party = source.simulator.party
    ids = [f"L{number}" for number in range(5)]
    Lists(source.simulator, 2, locations=[location(party, one) for one in ids])

    def run() -> Pull:
        (row,) = pull_tasks.request(party, ["locations"], full=True)
        until(lambda: not Pull.objects.get(pk=row.pk).is_requested)
        return Pull.objects.get(pk=row.pk)

    with changed_setting("PULL_PAUSE", 0.001):
        with changed_setting("MAX_LOCATIONS_PER_PARTY", 3):
            for stored, unchanged in ((3, 0), (0, 3)):
                row = run()
                assert (row.stored, row.unchanged, row.over_quota) == (stored, unchanged, 2)
                assert not row.last_error
        assert Location.objects.filter(owner=str(party)).count() == 3
        assert _usage(party, "locations").refused == 4
        row = run()
        assert (row.stored, row.over_quota) == (2, 0)


def test_a_new_session_and_a_new_cdr_beyond_the_quota_do_not_leave(hub, emsp):
    cpo = _joins(hub, Role.CPO)
    party = cpo.simulator.party

    def put(session_id: str):
        body = as_json(session(party, emsp.simulator.party, session_id))
        path = f"receiver/sessions/{party.country_code}/{party.party_id}/{session_id}"
        return ask(hub, cpo, "PUT", path, to=emsp, body=body)

    def post(cdr_id: str):
        return ask(hub, cpo, "POST", "receiver/cdrs", to=emsp, body=as_json({"id": cdr_id}))

    for send, setting in ((put, "MAX_SESSIONS_PER_PARTY"), (post, "MAX_CDRS_PER_PARTY")):
        with changed_setting(setting, 1):
            assert send("ONE").code == 1000
            emsp.simulator.got.clear()
            assert send("TWO").said == (200, 2000)
            assert not [m for m in emsp.simulator.got if m.module in {"sessions", "cdrs"}]
            assert send("ONE").code == 1000
        assert send("TWO").code == 1000


def test_urls_beyond_the_quota_are_not_given_out_and_refused_ones_count_no_more(hub, cpo):
    emsp, other = _joins(hub, Role.EMSP), _joins(hub, Role.EMSP)

    def command(sender=emsp):
        url = sender.simulator.url + "/api/ocpi/2.2.1/sender/commands/START_SESSION/1"
        body = json.dumps({"response_url": url}).encode()
        return ask(hub, sender, "POST", "receiver/commands/START_SESSION", to=cpo, body=body)

    def says(message):
        link = f'<{cpo.simulator.url}{message.path}?offset=2>; rel="next"'
        return raw(Link=link) if message.method == "GET" else raw(status=answered[0])

    cpo.simulator.says, answered = says, [404]
    with changed_setting("MAX_URLS_PER_PARTY", 2):
        for _ in range(3):
            assert command().status == 404
        answered[0] = 200
        assert command().code == 1000
        assert "link" in ask(hub, emsp, "GET", "sender/locations", to=cpo).headers
        cpo.simulator.got.clear()
        answer = command()
        assert answer.said == (200, 2000)
        assert "its quota of 2 URLs" in answer.envelope["status_message"]
        assert not [m for m in cpo.simulator.got if m.module == "commands"]
        assert ask(hub, emsp, "GET", "sender/locations", to=cpo).said == (200, 2000)
        assert command(other).code == 1000
    assert command().code == 1000
    assert _usage(emsp.simulator.party, URLS).number == 3


def test_the_numbers_are_counted_anew_and_an_operator_may_give_more(hub):
    mine = Owner(hub, _joins(hub, Role.CPO), "tariffs")
    party = str(mine.party)
    for one in ("ONE", "TWO", "THREE"):
        assert mine.put(one, body=tariff_of(mine.party, one)).code == 1000
    Tariff.objects.create(
        owner=party, object_id="AGG", told_by="NL-NAP", last_updated=T2, document=b"{}"
    )
    Tariff.objects.filter(owner=party, object_id="THREE").delete()
    Usage.objects.create(party="XX-OLD", what="tariffs", number=9)
    Usage.objects.create(party="XX-OWN", what="tariffs", number=9, quota=5)
    quotas.flush()
    count_anew()
    assert Usage.objects.get(party=party, what="tariffs").number == 2
    assert Usage.objects.get(party="NL-NAP", what="tariffs").number == 1
    assert not Usage.objects.filter(party="XX-OLD").exists()
    assert Usage.objects.get(party="XX-OWN").number == 0
    with changed_setting("MAX_TARIFFS_PER_PARTY", 1):
        _as_another_process()
        assert mine.put("NEW", body=tariff_of(mine.party, "NEW")).code == 2000
        usage = _usage(party, "tariffs")
        assert (usage.most, usage.refused) == (1, 1)
        Usage.objects.filter(pk=usage.pk).update(quota=3)
        _as_another_process()
        assert mine.put("NEW", body=tariff_of(mine.party, "NEW")).code == 1000
        assert mine.put("MORE", body=tariff_of(mine.party, "MORE")).code == 2000
        assert _usage(party, "tariffs").refused == 2


def _as_another_process() -> None:
    """Which knows what the database says, and no more."""
    assert quotas.flush()
    quotas._known.clear()


def test_what_a_process_has_added_counts_before_and_after_it_is_written(hub):
    quotas.add("XX-AWA", URLS, 2)
    assert not quotas.seems_full("XX-AWA", URLS)
    with changed_setting("MAX_URLS_PER_PARTY", 2):
        assert quotas.seems_full("XX-AWA", URLS)
        assert quotas.room("XX-AWA", URLS, 5) == 0
    with changed_setting("MAX_URLS_PER_PARTY", 0):
        assert quotas.room("XX-AWA", URLS, 5) == 5
    assert _usage("XX-AWA", URLS).number == 2
    quotas.add("XX-AWA", URLS, -1)
    assert _usage("XX-AWA", URLS).number == 1
