"""Several CDRs in one POST, which the text does not know: each is billed once (mod_cdrs, POST)."""

from cdrs.models import Cdr, Posting
from hub.deviations import noting
from hub.deviations.models import DeviationCount
from hub.ocpi.datatypes import Role
from tests.cdrs.test_post_cdr import kept, of, post
from tests.hub.pushing import HUB
from tests.hub.strangers import Stranger, ask, raw, send, token_of
from tests.minimal import as_json
from tests.running_hub import changed_setting


def test_each_cdr_of_a_list_is_kept_and_can_be_seen(hub, cpo, emsp):
    where = emsp.simulator.endpoint_url("cdrs", "receiver") + "/LIST"
    emsp.simulator.says = lambda message: raw(status=201, Location=where)
    documents = [of(cpo, emsp, f"LIST-{number}") for number in range(3)]
    answer = post(hub, cpo, as_json([*documents, documents[0], 5]), to=emsp)
    assert answer.said == (201, 1000)
    assert answer.headers["location"].startswith(hub.url)
    assert emsp.simulator.got[-1].json() == [*documents, documents[0], 5]
    assert [len(kept(f"LIST-{number}")) for number in range(3)] == [1, 1, 1]
    assert not Posting.objects.exists()
    listed = ask(hub, cpo, "GET", "sender/cdrs?limit=1000", to=HUB).envelope["data"]
    assert [one for one in listed if one["id"].startswith("LIST-")] == documents
    noting.flush()
    assert DeviationCount.objects.filter(rule="several-objects", path="CDR").exists()
    # Sent again, together or alone, it is known.
    emsp.simulator.got.clear()
    assert post(hub, cpo, as_json(documents), to=emsp).said == (201, 1000)
    assert post(hub, cpo, as_json(documents[1]), to=emsp).said == (201, 1000)
    assert not emsp.simulator.got


def test_a_list_that_would_bill_something_twice_is_refused_whole(hub, cpo, emsp):
    old, new = of(cpo, emsp, "OLD"), of(cpo, emsp, "NEW")
    stranger = hub.join(Stranger(Role.CPO, listens=False))
    assert post(hub, cpo, as_json(old), to=emsp).code == 1000
    emsp.simulator.got.clear()
    refused = {
        "already (OLD)": [old, new],
        "Credit CDR": [old | {"total_energy": 99}, new],
        "have the id 'NEW'": [new, new | {"total_energy": 99}],
        "stands in the body more than once": [new, of(stranger, emsp, "FOREIGN")],
    }
    for reason, documents in refused.items():
        answer = post(hub, cpo, as_json(documents), to=emsp)
        assert answer.said == (200, 2001), reason
        assert reason in answer.envelope["status_message"]
    with changed_setting("MAX_CDRS_PER_PARTY", 1):
        assert post(hub, cpo, as_json([new, of(cpo, emsp, "NEWER")]), to=emsp).code == 2000
    assert not emsp.simulator.got
    assert not kept("NEW")
    assert not Posting.objects.exists()
    assert post(hub, cpo, as_json([new, of(cpo, emsp, "NEWER")]), to=emsp).code == 1000
    assert len(kept("NEWER")) == 1


def test_a_list_that_is_refused_by_the_emsp_is_not_kept_and_one_without_objects_is_its_own(
    hub, cpo, emsp
):
    documents = [of(cpo, emsp, "NO-1"), of(cpo, emsp, "NO-2")]
    before = Cdr.objects.count()
    for body in (as_json(documents), b"[]", b"[1]"):
        emsp.simulator.says = lambda message: raw(b'{"status_code":2001,"timestamp":"T"}')
        assert post(hub, cpo, body, to=emsp).status == 200
        assert emsp.simulator.got[-1].body == body
    assert Cdr.objects.count() == before
    assert not Posting.objects.exists()
    emsp.simulator.says = Stranger.says_yes
    assert post(hub, cpo, as_json(documents), to=emsp).code == 1000
    assert send(hub, "GET", "/ocpi/2.2.1/cdr/x/NO-2", token_of(cpo)).status == 404
    assert Cdr.objects.count() == before + 2
