"""A CDR is billed once, however often it is sent (mod_cdrs: "cannot be changed or replaced")."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.utils import timezone

from cdrs.models import Cdr, Posting
from hub.ocpi.datatypes import Role
from simulators.testing import PATIENCE
from tests.cdrs.test_post_cdr import kept, of, post
from tests.hub.strangers import Stranger, ask, raw
from tests.minimal import as_json
from tests.running_hub import changed_setting

REFUSED = b'{"status_code":2001,"status_message":"no","timestamp":"2026-01-01T00:00:00Z"}'


def test_a_repeat_gets_the_outcome_that_is_known_and_the_emsp_is_not_bothered(hub, cpo, emsp):
    said = b'{"status_code":1001 ,"timestamp":"2026-01-01T00:00:00Z","n":1.50}'
    where = emsp.simulator.endpoint_url("cdrs", "receiver") + "/REPEAT"
    emsp.simulator.says = lambda message: raw(said, 201, Location=where)
    first = post(hub, cpo, of(cpo, emsp, "Repeat"))
    again = post(hub, cpo, of(cpo, emsp, "Repeat"), to=emsp)
    assert (again.status, again.body) == (first.status, first.body) == (201, said)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["ocpi-from-party-id"] == emsp.simulator.party.party_id
    assert len(emsp.simulator.got) == len(kept("Repeat")) == 1


def test_the_order_of_fields_spaces_and_the_spelling_of_numbers_make_no_other_cdr(hub, cpo, emsp):
    document = of(cpo, emsp, "SPELLED", x_vendor=1.5)
    post(hub, cpo, document)
    odd = json.dumps(dict(reversed(document.items())), indent=3).replace("1.5,", "1.50,")
    assert odd != json.dumps(document)
    assert post(hub, cpo, odd.encode()).said == (200, 1000)
    assert len(emsp.simulator.got) == 1


def test_a_cdr_that_is_written_anew_with_a_later_last_updated_is_the_same_bill(hub, cpo, emsp):
    document = of(cpo, emsp, "REWRITTEN")
    post(hub, cpo, document)
    later = document | {"last_updated": "2026-02-01T00:00:00Z"}
    assert post(hub, cpo, later).said == (200, 1000)
    assert len(emsp.simulator.got) == 1
    assert [json.loads(bytes(row.document)) for row in kept("REWRITTEN")] == [document]


@pytest.mark.parametrize("changes", [{"total_energy": 99}, {"x_vendor": 1}])
def test_another_cdr_of_the_same_id_is_refused_since_none_can_be_replaced(hub, cpo, emsp, changes):
    cdr_id = f"CHANGED-{next(iter(changes))}"
    document = of(cpo, emsp, cdr_id)
    post(hub, cpo, document)
    for to in (None, emsp):
        answer = post(hub, cpo, document | changes | {"id": cdr_id.lower()}, to=to)
        assert answer.said == (200, 2001)
        assert "Credit CDR" in answer.envelope["status_message"]
        assert "location" not in answer.headers
    assert len(emsp.simulator.got) == 1
    assert [json.loads(bytes(row.document)) for row in kept(cdr_id)] == [document]
    assert not Posting.objects.exists()


@pytest.mark.parametrize(("status", "body"), [(200, REFUSED), (400, REFUSED), (500, b"<h1>!</h1>")])
def test_a_refused_cdr_is_not_kept_and_can_be_sent_again_mended_or_not(
    hub, cpo, emsp, status, body
):
    cdr_id = f"REFUSED-{status}"
    emsp.simulator.says = lambda message: raw(body, status)
    for _ in range(2):
        assert post(hub, cpo, of(cpo, emsp, cdr_id)).status == status
    assert not kept(cdr_id)
    emsp.simulator.says = Stranger.says_yes
    assert post(hub, cpo, of(cpo, emsp, cdr_id, total_energy=7)).said == (200, 1000)
    assert len(emsp.simulator.got) == 3
    assert len(kept(cdr_id)) == 1


def test_an_outcome_that_is_unknown_is_asked_for_again_at_once(hub, cpo):
    gone = hub.join(Stranger(Role.EMSP, listens=False))
    gone.set_faults(gone=True)
    assert post(hub, cpo, of(cpo, gone, "GONE")).said == (200, 4003)
    gone.clear_faults()
    assert post(hub, cpo, of(cpo, gone, "GONE")).said == (200, 1000)
    assert len(kept("GONE")) == 1


def test_two_at_once_are_sent_once_and_both_get_the_outcome(hub, cpo, emsp):
    asked, may_answer = threading.Event(), threading.Event()

    async def hesitates(message):
        asked.set()
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return raw(status=201)

    emsp.simulator.says = hesitates
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(post, hub, cpo, of(cpo, emsp, "AT-ONCE"))
        assert asked.wait(PATIENCE)
        same = pool.submit(post, hub, cpo, of(cpo, emsp, "AT-ONCE"))
        another = pool.submit(post, hub, cpo, of(cpo, emsp, "At-Once", total_energy=9))
        # Meanwhile the hub serves everything else, also to this eMSP.
        assert ask(hub, cpo, "GET", "hubclientinfo").status == 200
        may_answer.set()
        assert first.result(PATIENCE).said == same.result(PATIENCE).said == (201, 1000)
        assert another.result(PATIENCE).said == (200, 2001)
    assert len(emsp.simulator.got) == len(kept("AT-ONCE")) == 1


def test_one_that_waited_goes_out_when_the_first_was_refused(hub, cpo, emsp):
    asked, may_answer = threading.Event(), threading.Event()

    async def refuses_the_first(message):
        if asked.is_set():
            return raw()
        asked.set()
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return raw(REFUSED)

    emsp.simulator.says = refuses_the_first
    document = of(cpo, emsp, "SECOND-TRY")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(post, hub, cpo, document)
        assert asked.wait(PATIENCE)
        second = pool.submit(post, hub, cpo, document)
        may_answer.set()
        assert first.result(PATIENCE).code == 2001
        assert second.result(PATIENCE).said == (200, 1000)
    assert len(kept("SECOND-TRY")) == 1


def test_a_process_that_died_with_a_cdr_on_its_way_blocks_it_for_a_while_only(hub, cpo, emsp):
    party = cpo.simulator.party
    Posting.objects.create(
        owner=str(party),
        object_id="ORPHAN",
        emsp=str(emsp.simulator.party),
        lease_until=timezone.now() + timedelta(seconds=1),
    )
    assert post(hub, cpo, of(cpo, emsp, "ORPHAN")).said == (200, 1000)
    assert len(emsp.simulator.got) == 1
    assert not Posting.objects.exists()


def test_the_same_id_of_another_cpo_and_for_another_emsp_is_another_cdr(hub, cpo, emsp):
    second, other = hub.join(Stranger(Role.CPO)), hub.join(Stranger(Role.EMSP))
    for sender, receiver in ((cpo, emsp), (second, emsp), (cpo, other)):
        assert post(hub, sender, of(sender, receiver, "COMMON")).said == (200, 1000)
    assert Cdr.objects.filter(object_id="COMMON").count() == 3


def test_a_location_of_odd_bytes_loses_neither_the_answer_nor_the_cdr(hub, cpo, emsp):
    emsp.simulator.says = lambda message: raw(status=201, Location="€\udcff" + "x" * 3000)
    assert post(hub, cpo, of(cpo, emsp, "ODD-LOCATION")).said == (201, 1000)
    assert post(hub, cpo, of(cpo, emsp, "ODD-LOCATION")).said == (201, 1000)
    assert len(emsp.simulator.got) == len(kept("ODD-LOCATION")) == 1


def test_an_emsp_that_says_nothing_but_201_has_taken_it(hub, cpo, emsp):
    emsp.simulator.says = lambda message: raw(b"", 201)
    for _ in range(2):
        answer = post(hub, cpo, of(cpo, emsp, "SILENT"))
        assert answer.said == (200, 1000)
        assert answer.headers["location"].startswith(hub.url)
    assert len(emsp.simulator.got) == 1


def test_a_receiver_that_times_out_leaves_the_outcome_unknown(hub, cpo):
    slow = hub.join(Stranger(Role.EMSP, listens=False))
    may_answer = threading.Event()

    async def hangs(message):
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return raw()

    slow.simulator.says = hangs
    body = as_json(of(cpo, slow, "TIMEOUT"))
    with changed_setting("FORWARD_TIMEOUT", 1.5):
        assert ask(hub, cpo, "POST", "receiver/cdrs", body=body).said == (200, 4002)
    may_answer.set()
    slow.simulator.says = Stranger.says_yes
    assert ask(hub, cpo, "POST", "receiver/cdrs", body=body).said == (200, 1000)
    assert len(slow.simulator.got) == 2
    assert len(kept("TIMEOUT")) == 1
