"""PUT of a Session through the hub (mod_sessions, Receiver Interface, PUT Method)."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from hub.ocpi.errors import InvalidParameters
from party.messages import Received, Reply
from sessions.models import Session
from simulators.testing import PATIENCE
from tests.scripted import Exactly, code

PERIOD = {"start_date_time": "2026-03-01T10:00:00Z", "dimensions": [{"type": "TIME", "volume": 1}]}


def kept(session_id: str) -> Session:
    return Session.objects.named(session_id).get()


def is_kept(session_id: str) -> bool:
    return Session.objects.named(session_id).filter(is_accepted=True).exists()


def in_minutes(minutes: float) -> str:
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def odd_document(cast, session_id: str) -> bytes:
    """Valid, in a spelling that no encoder of ours would choose."""
    text = (
        '{  "id": "%s",\n\t"country_code":"%s","party_id":"%s", "kwh": 1.500,\n'
        '"start_date_time":"2026-03-01T10:00:00Z","cdr_token":{"uid":"T","type":"RFID",'
        '"country_code":"%s","party_id":"%s","contract_id":"C", "x_vendor": [1.0, 2e3]},'
        '"auth_method":"WHITELIST","location_id":"L\\u00310","evse_uid":"E","connector_id":"1",'
        '"currency":"EUR","status":"ACTIVE","x_gr\u00fcn": {"b": null, "a": 0.10},'
        '"last_updated":"2026-03-01T10:00:00.000Z" }\n'
    )
    for value in (session_id, *cast.cpo.party, *cast.emsp.party):
        text = text.replace("%s", value, 1)
    return text.encode()


def test_a_session_reaches_the_emsp_byte_for_byte(cast):
    document = odd_document(cast, "PUT-1")
    path = cast.cpo.session_path("PUT-1")
    sent = {"X-Request-ID": "request-1", "X-Correlation-ID": "correlation-1"}
    response = cast.cpo.send("PUT", path, document, to=cast.emsp, headers=sent)
    assert (response.status_code, code(response)) == (200, 1000)
    [message] = cast.emsp.got("PUT-1")
    assert message.body == document
    assert (message.method, message.parts) == ("PUT", (*cast.cpo.party, "PUT-1"))
    assert (message.from_party, message.to_party) == (cast.cpo.party, cast.emsp.party)
    assert message.headers["X-Correlation-ID"] == "correlation-1"
    assert message.headers["X-Request-ID"] not in ("", "request-1")


def test_the_answer_comes_back_byte_for_byte_with_the_parties_swapped(cast):
    content = b'{ "status_code" : 1999, "timestamp":"2026-03-01T10:00:00Z", "x": 1.0 }'
    cast.emsp.answers("PUT-2", Exactly(content=content))
    response = cast.cpo.put_session("PUT-2", cast.emsp)
    assert response.content == content
    back = response.headers
    assert (back["OCPI-from-country-code"], back["OCPI-from-party-id"]) == cast.emsp.party
    assert (back["OCPI-to-country-code"], back["OCPI-to-party-id"]) == cast.cpo.party


def test_an_accepted_session_is_kept_whole(cast):
    document = odd_document(cast, "PUT-3")
    cast.cpo.send("PUT", cast.cpo.session_path("PUT-3"), document, to=cast.emsp)
    session = kept("PUT-3")
    assert bytes(session.document) == document
    assert (session.owner, session.emsp) == (cast.cpo.party, cast.emsp.party)
    assert (session.location_id, session.token_uid, session.status) == ("L10", "T", "ACTIVE")


def test_a_session_is_kept_before_the_cpo_has_its_answer_and_accepted_when_the_emsp_does(cast):
    asked, may_answer = threading.Event(), threading.Event()

    async def hesitate(message: Received) -> Reply:
        asked.set()
        await asyncio.to_thread(may_answer.wait, 10)
        return Reply()

    cast.emsp.answers("PUT-4", hesitate)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(cast.cpo.put_session, "PUT-4", cast.emsp)
        assert asked.wait(PATIENCE)
        was_kept = is_kept("PUT-4")
        may_answer.set()
        answer.result(PATIENCE)
    assert not was_kept
    assert is_kept("PUT-4")


@pytest.mark.parametrize(
    ("session_id", "refusal"),
    [
        ("NOT-2001", Reply.of(InvalidParameters("I do not want it"))),
        ("NOT-3000", Reply(status_code=3000)),
        ("NOT-404", Reply(http_status=404, status_code=2000)),
        ("NOT-500", Reply(http_status=500, status_code=1000)),
    ],
)
def test_a_refused_session_is_not_kept_and_the_refusal_passes(cast, session_id, refusal):
    cast.emsp.answers(session_id, refusal)
    response = cast.cpo.put_session(session_id, cast.emsp)
    assert (response.status_code, code(response)) == (refusal.http_status, refusal.status_code)
    assert not is_kept(session_id)


def test_a_refused_update_leaves_what_was_kept(cast):
    cast.cpo.put_session("PUT-5", cast.emsp, kwh=1.0)
    cast.emsp.answers("PUT-5", Reply(status_code=2001))
    cast.cpo.put_session("PUT-5", cast.emsp, kwh=2.0, last_updated="2026-03-01T11:00:00Z")
    assert kept("PUT-5").kwh == 1


def test_without_to_the_cdr_token_names_the_receiver_in_any_case(cast):
    lower = cast.emsp.party.party_id.lower()
    document = cast.cpo.session("PUT-6", cast.emsp, cdr_token={"party_id": lower})
    response = cast.cpo.send("PUT", cast.cpo.session_path("PUT-6"), document)
    assert code(response) == 1000
    [message] = cast.emsp.got("PUT-6")
    assert message.to_party == cast.emsp.party
    assert kept("PUT-6").emsp == cast.emsp.party


def test_a_session_of_an_unknown_emsp_is_answered_with_4001(cast):
    document = cast.cpo.session("PUT-7", cast.emsp, cdr_token={"party_id": "QQQ"})
    response = cast.cpo.send("PUT", cast.cpo.session_path("PUT-7"), document)
    assert (response.status_code, code(response)) == (200, 4001)
    assert not is_kept("PUT-7")


def test_a_session_for_the_hub_is_never_spread(cast):
    assert cast.other_emsp
    document = cast.cpo.session("PUT-8", cast.emsp)
    hub = next(iter(cast.cpo.platform.hub.parties))
    response = cast.cpo.send("PUT", cast.cpo.session_path("PUT-8"), document, to=hub)
    assert code(response) >= 2000
    assert str(cast.emsp) in response.json()["status_message"]
    assert cast.emsp.got("PUT-8") == cast.other_emsp.got("PUT-8") == []
    assert not is_kept("PUT-8")


def test_a_put_replaces_the_charging_periods(cast):
    cast.cpo.put_session("PUT-9", cast.emsp, charging_periods=[PERIOD, PERIOD])
    cast.cpo.put_session("PUT-9", cast.emsp, charging_periods=[PERIOD])
    assert msgspec.json.decode(bytes(kept("PUT-9").document))["charging_periods"] == [PERIOD]


@pytest.mark.parametrize("changes", [{}, {"charging_periods": []}])
def test_a_put_without_charging_periods_removes_them(cast, changes):
    session_id = f"PUT-10-{len(changes)}"
    cast.cpo.put_session(session_id, cast.emsp, charging_periods=[PERIOD])
    cast.cpo.put_session(session_id, cast.emsp, **changes)
    assert not msgspec.json.decode(bytes(kept(session_id).document)).get("charging_periods")


def test_an_older_session_never_wins(cast):
    cast.cpo.put_session("PUT-11", cast.emsp, kwh=2, last_updated="2026-03-01T10:00:01Z")
    response = cast.cpo.put_session("PUT-11", cast.emsp, kwh=1, last_updated="2026-03-01T10:00:00Z")
    assert code(response) == 1000
    assert kept("PUT-11").kwh == 2


def test_an_equally_old_session_is_taken(cast):
    cast.cpo.put_session("PUT-12", cast.emsp, kwh=1)
    cast.cpo.put_session("PUT-12", cast.emsp, kwh=2)
    assert kept("PUT-12").kwh == 2


def test_times_are_compared_as_moments_not_as_text(cast):
    cast.cpo.put_session("PUT-13", cast.emsp, kwh=1, last_updated="2026-03-01T10:00:00.500Z")
    cast.cpo.put_session("PUT-13", cast.emsp, kwh=2, last_updated="2026-03-01T10:00:00Z")
    assert kept("PUT-13").kwh == 1
    cast.cpo.put_session("PUT-13", cast.emsp, kwh=3, last_updated="2026-03-01T10:00:01")
    assert kept("PUT-13").kwh == 3


def test_a_time_far_ahead_guards_nothing(cast):
    cast.cpo.put_session("PUT-14", cast.emsp, kwh=1, last_updated="2099-01-01T00:00:00Z")
    cast.cpo.put_session("PUT-14", cast.emsp, kwh=2, last_updated=in_minutes(0))
    assert kept("PUT-14").kwh == 2


def test_a_clock_that_runs_a_minute_ahead_still_guards(cast):
    cast.cpo.put_session("PUT-15", cast.emsp, kwh=1, last_updated=in_minutes(1))
    cast.cpo.put_session("PUT-15", cast.emsp, kwh=2, last_updated=in_minutes(0))
    assert kept("PUT-15").kwh == 1


def test_ids_compare_without_case(cast):
    cast.cpo.put_session("Put-16-Abc", cast.emsp, kwh=1)
    lower = [part.lower() for part in cast.cpo.party]
    document = cast.cpo.session("pUT-16-aBC", cast.emsp, kwh=2)
    document |= {"country_code": lower[0], "party_id": lower[1]}
    path = f"receiver/sessions/{lower[0]}/{lower[1]}/pUT-16-aBC"
    cast.cpo.send("PUT", path, document, to=cast.emsp)
    assert [int(one.kwh) for one in Session.objects.named("PUT-16-ABC")] == [2]
    assert cast.emsp.got("PUT-16-ABC")[-1].parts == (*lower, "pUT-16-aBC")


def test_two_cpos_may_use_the_same_session_id(cast):
    cast.cpo.put_session("PUT-17", cast.emsp, kwh=1)
    cast.other_cpo.put_session("PUT-17", cast.emsp, kwh=2)
    found = {session.owner: int(session.kwh) for session in Session.objects.named("PUT-17")}
    assert found == {cast.cpo.party: 1, cast.other_cpo.party: 2}


def test_first_puts_at_the_same_moment_make_one_session_and_the_newest_wins(cast):
    begin = threading.Barrier(6)

    def put(second: int) -> int:
        begin.wait(PATIENCE)
        moment = f"2026-03-01T10:00:0{second}Z"
        return code(cast.cpo.put_session("PUT-18", cast.emsp, kwh=second, last_updated=moment))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(put, range(6))) == [1000] * 6
    [session] = Session.objects.named("PUT-18")
    assert session.kwh == 5


def test_nobody_may_overwrite_a_session_of_another_cpo_from_inside_the_body(cast):
    cast.cpo.put_session("PUT-19", cast.emsp, kwh=1)
    forged = cast.cpo.session("PUT-19", cast.emsp, kwh=99, last_updated="2026-03-01T12:00:00Z")
    path = cast.other_cpo.session_path("PUT-19")
    cast.other_cpo.send("PUT", path, forged, to=cast.emsp)
    assert [session.kwh for session in Session.objects.named("PUT-19")] == [1]


def test_a_session_whose_id_differs_from_the_url_is_not_kept(cast):
    cast.cpo.put_session("PUT-20", cast.emsp, kwh=1)
    other = cast.cpo.session("PUT-20", cast.emsp, kwh=99, last_updated="2026-03-01T12:00:00Z")
    cast.cpo.send("PUT", cast.cpo.session_path("PUT-20-URL"), other, to=cast.emsp)
    assert kept("PUT-20").kwh == 1
    assert not is_kept("PUT-20-URL")


def test_an_emsp_that_passes_a_session_on_changes_nothing(cast):
    cast.cpo.put_session("PUT-21", cast.emsp, kwh=1)
    copy = cast.cpo.session("PUT-21", cast.emsp, kwh=99, last_updated="2026-03-01T12:00:00Z")
    response = cast.emsp.send("PUT", cast.cpo.session_path("PUT-21"), copy, to=cast.scsp)
    assert code(response) == 1000
    [message] = cast.scsp.got("PUT-21")
    assert message.from_party == cast.emsp.party
    assert kept("PUT-21").kwh == 1
    assert kept("PUT-21").sent_to == [str(cast.emsp)]


def test_from_must_be_a_party_of_the_sender(cast):
    document = cast.cpo.session("PUT-22", cast.emsp)
    path = cast.cpo.session_path("PUT-22")
    response = cast.other_cpo.send("PUT", path, document, to=cast.emsp, from_=cast.cpo.party)
    assert code(response) == 2001
    assert cast.emsp.got("PUT-22") == []
    assert not is_kept("PUT-22")


@pytest.mark.parametrize(
    ("session_id", "changes"),
    [("BIG-1", {"kwh": 1e30}), ("BIG-2", {"last_updated": "9999-12-31T23:59:59Z"})],
)
def test_odd_values_that_are_valid_are_kept(cast, session_id, changes):
    assert code(cast.cpo.put_session(session_id, cast.emsp, **changes)) == 1000
    session = kept(session_id)
    assert msgspec.json.decode(bytes(session.document))["id"] == session_id


def test_every_party_that_the_cpo_sent_the_session_to_is_remembered(cast):
    cast.cpo.put_session("PUT-23", cast.emsp)
    cast.cpo.put_session("PUT-23", cast.emsp, to=cast.scsp)
    cast.cpo.put_session("PUT-23", cast.emsp, to=cast.scsp)
    assert kept("PUT-23").sent_to == [str(cast.emsp), str(cast.scsp)]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"{} {}", b"NaN"])
def test_what_is_not_json_is_answered_with_400_and_goes_nowhere(cast, body):
    response = cast.cpo.send("PUT", cast.cpo.session_path("PUT-24"), body, to=cast.emsp)
    assert response.status_code == 400
    assert 2000 <= code(response) < 3000
    assert cast.emsp.got("PUT-24") == []


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_session_can_not_be_posted_or_deleted(cast, method):
    response = cast.cpo.send(method, cast.cpo.session_path("PUT-25"), b"{}", to=cast.emsp)
    assert response.status_code == 405
    assert cast.emsp.got("PUT-25") == []


def test_a_nul_in_the_url_is_no_error_of_the_hub(cast):
    document = cast.cpo.session("PUT-26", cast.emsp)
    response = cast.cpo.send("PUT", cast.cpo.session_path("PUT%0026"), document, to=cast.emsp)
    assert response.status_code < 500
    assert not is_kept("PUT-26")
