"""Every message in and out becomes one row, off the hot path, and nothing secret is in it."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
import redis
import time_machine
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from hub.keeping import tasks
from hub.ocpi.datatypes import Role
from hub.record import partitions
from hub.record import recorder as recorder_module
from hub.record import stream_to_table as drain_module
from hub.record.models import BodyRecording, DrainedBatch, Message, Tally
from hub.record.recorder import FIELD, MOST_NOTES, STREAM, Batch, Recorder, connect
from hub.record.stream_to_table import copy_to_table
from hub.routing.directory import wait_until_confirmed
from tests.hub.newcomer import Newcomer
from tests.hub.recording import empty, message, note, recorded
from tests.hub.strangers import CUSTOM, Stranger, ask, raw, token_of, until
from tests.running_hub import changed_setting
from tests.scripted import Cast, url_given

UID = "0123456789ABCDEF"
CONTRACT = "DE-MSP-C12345678-X"
NOBODY = "redis://127.0.0.1:9/0"
_TABLE = partitions.TABLE


@pytest.fixture
def ids():
    """The two ids of one exchange that no other test has."""
    return {"X-Request-ID": f"r-{uuid4()}", "X-Correlation-ID": f"c-{uuid4()}"}


# --- One row for each message ---------------------------------------------------------------------


def test_a_forwarded_message_is_two_rows_in_and_out(hub, cpo, emsp, ids):
    party = cpo.simulator.party
    path = f"receiver/locations/{party.country_code}/{party.party_id}/LOC1"
    body = b'{"id": "LOC1"}'
    answer = ask(hub, cpo, "PUT", path, to=emsp, body=body, headers=ids)
    came, went = recorded(2, correlation_id=ids["X-Correlation-ID"])
    for row in (came, went):
        assert (row.sender, row.receiver) == (str(party), str(emsp.simulator.party))
        assert (row.method, row.module, row.interface_role) == ("PUT", "locations", "RECEIVER")
        assert (row.path, row.object_id) == (path, "LOC1")
        assert (row.kind, row.http_status, row.ocpi_code) == ("forward", 200, 1000)
        assert (row.request_bytes, row.answer_bytes) == (len(body), len(answer.body))
        assert not row.is_failed
        assert row.milliseconds > 0
        assert abs(row.at - timezone.now()) < timedelta(minutes=1)
        assert (row.problem, row.request_body, row.answer_body, row.related_id) == ("", "", "", "")
    assert (came.direction, went.direction) == ("IN", "OUT")
    assert came.request_id == ids["X-Request-ID"]
    assert went.request_id == emsp.simulator.got[-1].headers["X-Request-ID"]
    assert came.platform_id != went.platform_id
    assert came.milliseconds >= went.milliseconds


def test_a_failure_of_the_receiver_is_told_with_its_words(hub, cpo, emsp, ids):
    says = b'{"status_code":2003,"status_message":"Unknown Location","timestamp":"T"}'
    emsp.simulator.says = lambda message: raw(says, 404)
    ask(hub, cpo, "GET", "sender/tariffs", to=emsp, headers=ids)
    for row in recorded(2, correlation_id=ids["X-Correlation-ID"]):
        assert (row.http_status, row.ocpi_code) == (404, 2003)
        assert row.is_failed
        assert row.problem == "Unknown Location"


def test_a_receiver_that_is_gone_has_no_http_status_and_a_reason(hub, cpo, ids):
    gone = hub.join(Stranger(Role.EMSP, listens=False))
    gone.set_faults(gone=True)
    ask(hub, cpo, "GET", "sender/tokens", to=gone, headers=ids)
    came, went = recorded(2, correlation_id=ids["X-Correlation-ID"])
    assert (came.http_status, came.ocpi_code) == (200, 4003)
    assert (went.http_status, went.ocpi_code) == (None, 4003)
    assert "cannot be reached" in went.problem
    assert came.problem == went.problem


def test_an_answer_that_is_no_ocpi_failed(hub, cpo, emsp, ids):
    emsp.simulator.says = lambda message: raw(b"<html>", 200)
    ask(hub, cpo, "GET", "sender/tokens", to=emsp, headers=ids)
    came, went = recorded(2, correlation_id=ids["X-Correlation-ID"])
    assert (went.http_status, went.ocpi_code, came.ocpi_code) == (200, None, 4000)
    assert "not OCPI" in came.problem


def test_what_the_hub_answers_itself_is_one_row(hub, cpo, ids):
    ask(hub, cpo, "GET", "hubclientinfo", headers=ids)
    (row,) = recorded(1, correlation_id=ids["X-Correlation-ID"])
    assert (row.kind, row.module, row.path) == ("hub", "hubclientinfo", "2.2.1/hubclientinfo")
    hub_party = f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}"
    assert (row.sender, row.receiver) == (str(cpo.simulator.party), hub_party)


def test_odd_requests_are_recorded_and_hold_nothing_up(hub, cpo, emsp, ids):
    odd = ids | {"X-Request-ID": "x" * 300}
    ask(hub, cpo, "GET", "sender/tokens", to=emsp, headers=odd)
    ask(hub, cpo, "PUT", f"sender/{'m' * 200}/%20/a", to=emsp, body=b"{}", headers=ids)
    says = b'{"status_code":99999999999,"status_message":"a\\u0000b","timestamp":"T"}'
    emsp.simulator.says = lambda message: raw(says, 599)
    ask(hub, cpo, "GET", f"sender/{CUSTOM}/a", to=emsp, headers=ids)
    rows = recorded(4, correlation_id=ids["X-Correlation-ID"])
    assert len(rows) == 4
    assert {len(row.request_id) for row in rows[:1]} == {255}
    assert (rows[-1].ocpi_code, rows[-1].problem) == (None, "ab")
    assert rows[-1].is_failed


def test_the_hubs_own_calls_are_recorded(hub, ids):
    newcomer = Newcomer(hub)
    newcomer.post()
    name = str(newcomer.party)
    (posted,) = recorded(1, sender=name, kind="hub", method="POST")
    assert (posted.path, posted.module) == ("2.2.1/credentials", "credentials")
    fetched = Message.objects.filter(kind="handshake", at__gte=posted.at).order_by("at")
    assert [(row.method, row.module, row.ocpi_code) for row in fetched[:2]] == [
        ("GET", "versions", 1000)
    ] * 2
    pushed = Message.objects.filter(kind="delivery", module="hubclientinfo")
    assert all(row.direction == "OUT" for row in pushed)


def test_a_profile_command_is_recorded_until_its_result_is_delivered(hub):
    cast = Cast(hub)
    cast.cpo.put_session("S-RECORD", cast.emsp)
    cast.emsp.put_profile("S-RECORD", to=cast.cpo)
    (command,) = [m for m in cast.cpo.asked("S-RECORD") if m.method == "PUT"]
    correlation_id = command.headers["X-Correlation-ID"]
    cast.cpo.post_result(url_given(command), {"result": "ACCEPTED"})
    cast.emsp.results("S-RECORD")
    asked, carried, delivered = recorded(3, correlation_id=correlation_id)
    assert (asked.direction, asked.kind) == ("IN", "command")
    assert (carried.direction, carried.kind, carried.ocpi_code) == ("OUT", "command", 1000)
    assert carried.path == "receiver/chargingprofiles/S-RECORD"
    assert (delivered.kind, delivered.receiver) == ("callback", str(cast.emsp.party))
    (result,) = recorded(1, related_id=correlation_id)
    assert (result.kind, result.path) == ("result", "profile-result/•••")
    assert (result.sender, result.module) == (str(cast.cpo.party), "chargingprofiles")


def test_what_comes_on_a_callback_url_is_related_to_the_command(hub, cpo, emsp, ids):
    token = {"uid": UID, "contract_id": CONTRACT, "type": "RFID"}
    body = {"response_url": "https://emsp.example/secret/1", "token": token, "location_id": "L1"}
    ask(
        hub,
        emsp,
        "POST",
        "receiver/commands/START_SESSION",
        to=cpo,
        body=json.dumps(body).encode(),
        headers=ids,
    )
    url = cpo.simulator.got[-1].json()["response_url"]
    own = {"X-Correlation-ID": f"own-{uuid4()}"}
    ask(hub, cpo, "POST", url, body=b'{"result":"ACCEPTED"}', headers=own)
    came, went = recorded(2, correlation_id=own["X-Correlation-ID"])
    for row in (came, went):
        assert (row.kind, row.related_id) == ("via", ids["X-Correlation-ID"])
        assert url.rpartition("/")[2] not in row.path
        assert "secret" not in row.path


# --- Nothing secret -------------------------------------------------------------------------------


def _everything(rows) -> str:
    values = Message.objects.filter(pk__in=[row.pk for row in rows]).values_list()
    return "\n".join(str(value) for row in values for value in row)


def test_token_uids_are_not_in_a_path_a_query_or_a_problem(hub, cpo, emsp, ids):
    says = {"status_code": 2004, "status_message": f"no {UID}, no {CONTRACT}", "timestamp": "T"}
    emsp.simulator.says = lambda message: raw(json.dumps(says).encode(), 404)
    body = json.dumps({"uid": UID, "contract_id": CONTRACT}).encode()
    own = cpo.simulator.party
    for method, path in (
        ("POST", f"sender/tokens/{UID}/authorize?type=RFID&secret={UID}"),
        ("PUT", f"receiver/tokens/{own.country_code}/{own.party_id}/{UID}"),
        ("PUT", f"receiver/tokens/{own.country_code}/{own.party_id}/{UID}/more/than/that"),
        ("DELETE", f"sender/tokens/{UID}"),
        ("PUT", f"receiver/{CUSTOM}/{UID}"),
    ):
        sent = body if method in {"POST", "PUT"} else None
        ask(hub, cpo, method, path, to=emsp, body=sent, headers=ids)
    rows = recorded(8, correlation_id=ids["X-Correlation-ID"])
    found = _everything(rows)
    for secret in (UID, CONTRACT, token_of(cpo), token_of(emsp)):
        assert secret not in found
    assert "sender/tokens/•••DEF/authorize?type=RFID" in found
    assert "no •••, no •••" in found


def test_bodies_are_not_kept_unless_they_are_switched_on(hub, cpo, emsp, ids):
    ask(hub, cpo, "PUT", f"receiver/{CUSTOM}/1", to=emsp, body=b'{"a":1}', headers=ids)
    for row in recorded(2, correlation_id=ids["X-Correlation-ID"]):
        assert (row.request_body, row.answer_body) == ("", "")


def test_bodies_are_kept_masked_for_a_party_and_a_while(hub, cpo, emsp, ids):
    party = emsp.simulator.party
    call_command("record_bodies", party.country_code, party.party_id, "--minutes", "5")
    hub_knows(hub, cpo, emsp)
    token = {
        "uid": UID,
        "contract_id": CONTRACT,
        "visual_number": "VISUAL-123456",
        "group_id": "GROUP-1234567",
        "name": "kept",
    }
    told = {"token": "CREDENTIALS-TOKEN-C", "response_url": "https://x.example/open/sesame"}
    body = json.dumps(told | {"cdr_token": token, "list": [token], "uid": UID}).encode()
    path = f"receiver/{CUSTOM}/1"
    ask(hub, cpo, "PUT", path, to=emsp, body=body, headers=ids)
    call_command("record_bodies", party.country_code, party.party_id, "--off")
    rows = recorded(2, correlation_id=ids["X-Correlation-ID"])
    for row in rows:
        kept = json.loads(row.request_body)
        assert kept["cdr_token"]["contract_id"] == "•••8-X"
        assert kept["list"][0]["uid"] == kept["uid"] == "•••DEF"
        assert kept["response_url"].endswith("/•••")
        assert kept["cdr_token"]["name"] == "kept"
        assert json.loads(row.answer_body)["status_code"] == 1000
    found = _everything(rows)
    for secret in (UID, CONTRACT, "VISUAL-1", "GROUP-1", "CREDENTIALS", "sesame"):
        assert secret not in found


def hub_knows(hub, cpo, emsp) -> None:
    """The gateway has read the directory again."""

    def keeps_bodies() -> bool:
        ids = {"X-Correlation-ID": f"c-{uuid4()}"}
        ask(hub, cpo, "PUT", f"receiver/{CUSTOM}/1", to=emsp, body=b"{}", headers=ids)
        return bool(recorded(2, correlation_id=ids["X-Correlation-ID"])[0].request_body)

    until(keeps_bodies)


def test_a_body_that_is_long_or_no_json_is_not_kept_whole(hub, cpo, emsp, ids):
    party = emsp.simulator.party
    call_command("record_bodies", party.country_code, party.party_id)
    hub_knows(hub, cpo, emsp)
    emsp.simulator.says = lambda message: raw(b"secret <html>", 500)
    body = json.dumps({"long": "x" * 30_000}).encode()
    ask(hub, cpo, "PUT", f"receiver/{CUSTOM}/1", to=emsp, body=body, headers=ids)
    BodyRecording.objects.all().delete()
    _, went = recorded(2, correlation_id=ids["X-Correlation-ID"])
    assert 20_000 < len(went.request_body) < 20_100
    assert went.answer_body == "(13 bytes that are not JSON)"


def test_an_expired_recording_keeps_nothing_and_is_cleaned_up(hub, cpo, emsp, ids):
    party = emsp.simulator.party
    BodyRecording.objects.create(
        country_code=party.country_code, party_id=party.party_id, until=timezone.now()
    )
    assert wait_until_confirmed()  # Another test's may have been known until now.
    ask(hub, cpo, "PUT", f"receiver/{CUSTOM}/1", to=emsp, body=b'{"a":1}', headers=ids)
    assert recorded(2, correlation_id=ids["X-Correlation-ID"])[0].request_body == ""
    tasks.clean_up()
    assert not BodyRecording.objects.exists()


# --- Off the hot path -----------------------------------------------------------------------------


def test_messages_pass_while_valkey_is_away_and_the_lost_ones_are_counted(hub, cpo, emsp):
    recorded()
    before = _tally("unrecorded")
    with changed_setting("CELERY_BROKER_URL", NOBODY):
        away = Recorder(NOBODY)
        for _ in range(10):
            away.add(note())
        away.flush()
        assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
    away._url, away._valkey = settings.CELERY_BROKER_URL, None
    away.add(note(correlation_id="after all"))
    away.flush()
    assert recorded(correlation_id="after all")
    assert _tally("unrecorded") == before + 10


def _tally(name: str, labels: str = "") -> int:
    row = Tally.objects.filter(name=name, labels=labels).first()
    return row.number if row else 0


@pytest.mark.django_db
def test_what_waits_in_memory_is_bounded():
    empty()
    busy = Recorder(settings.CELERY_BROKER_URL)
    busy._flushing.acquire()
    for _ in range(MOST_NOTES + 25):
        busy.add(note(correlation_id="bounded"))
    busy._flushing.release()
    busy.flush()
    before = _tally("unrecorded")
    assert copy_to_table() == MOST_NOTES
    assert _tally("unrecorded") == before + 25


def test_what_waits_in_valkey_is_bounded():
    empty()
    valkey = connect(settings.CELERY_BROKER_URL)
    for _ in range(50):
        pipeline = valkey.pipeline(transaction=False)
        for _ in range(100):
            pipeline.xadd(STREAM, {FIELD: b""})
        pipeline.execute()
    one = Recorder(settings.CELERY_BROKER_URL)
    one.add(note())
    one.flush()
    assert valkey.xlen(STREAM) <= recorder_module.MOST_BATCHES + 100
    valkey.delete(STREAM)


def test_a_recorder_sends_by_itself(transactional_db):
    empty()
    one = Recorder(settings.CELERY_BROKER_URL)
    one.add(note(correlation_id="by itself"))
    until(lambda: connect(settings.CELERY_BROKER_URL).xlen(STREAM))
    assert copy_to_table() == 1


# --- Drained once ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_batch_that_valkey_still_has_is_not_recorded_twice():
    empty()
    valkey = connect(settings.CELERY_BROKER_URL)
    batch = msgspec.msgpack.encode(Batch("once", [], []))
    one = Recorder(settings.CELERY_BROKER_URL)
    one.add(note(correlation_id="twice"))
    one.flush()
    ((_, fields),) = valkey.xrange(STREAM)
    assert copy_to_table() == 1
    valkey.xadd(STREAM, fields)  # As if the drain had died before it took it out.
    valkey.xadd(STREAM, {FIELD: batch})
    assert copy_to_table() == 0
    assert Message.objects.filter(correlation_id="twice").count() == 1
    assert valkey.xlen(STREAM) == 0
    assert DrainedBatch.objects.filter(batch_id="once").exists()
    one.add(note(correlation_id="next"))
    one.flush()
    assert copy_to_table() == 1
    assert not DrainedBatch.objects.filter(batch_id="once").exists()


@pytest.mark.django_db
def test_what_cannot_be_read_or_kept_holds_nothing_up():
    empty()
    valkey = connect(settings.CELERY_BROKER_URL)
    valkey.xadd(STREAM, {FIELD: b"of another release"})
    valkey.xadd(STREAM, {b"odd": b""})
    one = Recorder(settings.CELERY_BROKER_URL)
    one.add(note(correlation_id="too long", sender="X" * 99))
    one.flush()
    before = _tally("unrecorded")
    assert copy_to_table() == 0
    assert _tally("unrecorded") == before + 1
    one.add(note(correlation_id="well"))
    one.flush()
    assert copy_to_table() == 1


@pytest.mark.django_db
def test_a_drain_without_valkey_fails_and_keeps_what_waits():
    with pytest.raises(redis.ConnectionError):
        copy_to_table(connect(NOBODY))


def test_a_turn_by_the_clock_drains_and_says_so_when_valkey_is_away(
    transactional_db, settings, caplog
):
    empty()
    drain_module.make_partitions()
    assert timezone.now().astimezone(UTC).date() in partitions.days()
    one = Recorder(settings.CELERY_BROKER_URL)
    one.add(note(correlation_id="by the clock"))
    one.flush()
    drain_module.drain_messages()
    assert Message.objects.filter(correlation_id="by the clock").exists()
    settings.CELERY_BROKER_URL = NOBODY
    drain_module.drain_messages()
    assert "messages wait to be recorded" in caplog.text


# --- A day at a time ------------------------------------------------------------------------------


def _where(correlation_id: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT tableoid::regclass::text FROM {_TABLE} WHERE correlation_id = %s ORDER BY at",
            [correlation_id],
        )
        return [name for (name,) in cursor.fetchall()]


@pytest.fixture
def no_partitions(db):
    """As on the first day, which does not end while a test is about it."""
    for day in partitions.days():
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {partitions.name_of(day)}")
    with time_machine.travel(datetime.now(UTC), tick=False):
        yield


def test_messages_around_midnight_lie_in_the_partitions_of_their_days(no_partitions):
    partitions.make_ahead()
    today = timezone.now().astimezone(UTC).date()
    assert partitions.days() == [today + timedelta(days=number) for number in range(3)]
    midnight = datetime.combine(today + timedelta(days=1), datetime.min.time(), UTC)
    moments = (midnight - timedelta(microseconds=1), midnight)
    for moment in moments:
        message(at=moment, correlation_id="midnight")
    assert _where("midnight") == [
        partitions.name_of(today),
        partitions.name_of(today + timedelta(days=1)),
    ]
    partitions.make_ahead()


def test_a_message_of_an_odd_day_lies_in_the_default_partition_until_its_day_has_one(no_partitions):
    now = timezone.now()
    for days in (-3, 1, 9):
        message(at=now + timedelta(days=days), correlation_id="odd")
    assert _where("odd") == [f"{_TABLE}_default"] * 3
    partitions.make_ahead()
    tomorrow = (now + timedelta(days=1)).astimezone(UTC).date()
    assert _where("odd") == [
        f"{_TABLE}_default",
        partitions.name_of(tomorrow),
        f"{_TABLE}_default",
    ]
    assert Message.objects.filter(correlation_id="odd").count() == 3


def test_messages_are_forgotten_after_their_time(no_partitions, settings):
    settings.MESSAGES_KEPT_DAYS = 2
    now = timezone.now()
    for days in (-4, -2, 0):
        partitions._make((now + timedelta(days=days)).astimezone(UTC).date())
        message(at=now + timedelta(days=days), correlation_id="kept")
    message(at=now - timedelta(days=9), correlation_id="kept")
    message(at=now - timedelta(days=1), correlation_id="kept")
    tasks.clean_up()
    kept = [row.at for row in Message.objects.filter(correlation_id="kept").order_by("at")]
    assert kept == [now - timedelta(days=2), now - timedelta(days=1), now]
