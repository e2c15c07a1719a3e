"""/metrics: what Prometheus reads, and who else may."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as hub_settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from charging_profiles import order
from charging_profiles.models import CommandState, ProfileCommand, Said
from hub.db import leases, sql
from hub.db.leases import Lease
from hub.deviations import noting
from hub.deviations.models import DeviationCount
from hub.models import Delivery, Party, WorkerProcess
from hub.ocpi.datatypes import Role
from hub.ocpi.lenient import Deviation
from hub.ocpi.party import PartyId
from hub.parties import onboarding, party_status
from hub.record.models import Tally
from hub.record.recorder import Recorder, recorder
from hub.record.stream_to_table import copy_to_table
from hub.record.tallies import BOUNDS
from tests.hub.console import rows
from tests.hub.recording import empty, note, recorded
from tests.hub.strangers import CUSTOM, Stranger, ask, raw, until
from tests.running_hub import changed_setting

TOKEN = "a token for Prometheus"


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every number by name and labels, as Prometheus itself parses them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(client: Client, **headers: Any) -> dict:
    """What this machine reads."""
    response = client.get("/metrics", **headers)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain")
    return samples(response.content.decode())


def of(name: str, found: dict) -> dict[tuple[str, ...], float]:
    """One metric by its labels' values, in the order of their names."""
    return {
        tuple(value for _, value in labels): number
        for (sample, labels), number in found.items()
        if sample == name
    }


@pytest.fixture
def _recorded_nothing(db):
    empty()


@pytest.mark.usefixtures("_recorded_nothing")
def test_messages_are_counted_by_way_module_and_code_with_their_times(client):
    one = Recorder(hub_settings.CELERY_BROKER_URL)
    for seconds, code in ((0.004, 1000), (0.005, 1000), (0.3, 2003), (60.0, 4002)):
        one.add(note(seconds=seconds, code=code))
    one.flush()
    copy_to_table()
    found = scrape(client)
    assert of("flexhub_messages_total", found) == {
        ("1000", "IN", "forward", "versions"): 2,
        ("2003", "IN", "forward", "versions"): 1,
        ("4002", "IN", "forward", "versions"): 1,
    }
    below = of("flexhub_message_seconds_bucket", found)
    assert len(below) == len(BOUNDS) + 1
    assert below["IN", "forward", "0.005", "versions"] == 2
    assert below["IN", "forward", "0.25", "versions"] == 2
    assert below["IN", "forward", "0.5", "versions"] == 3
    assert below["IN", "forward", "30.0", "versions"] == 3
    assert below["IN", "forward", "+Inf", "versions"] == 4
    assert of("flexhub_message_seconds_count", found) == {("IN", "forward", "versions"): 4}
    total = of("flexhub_message_seconds_sum", found)["IN", "forward", "versions"]
    assert total == pytest.approx(60.309)


@pytest.mark.usefixtures("_recorded_nothing")
def test_counters_go_on_over_processes_and_restarts(client):
    for expected in (1, 2, 3):
        process = Recorder(hub_settings.CELERY_BROKER_URL)
        process.add(note())
        process.count("unrecorded", number=10)
        process.flush()
        copy_to_table()
        found = scrape(client)
        assert sum(of("flexhub_messages_total", found).values()) == expected
        assert of("flexhub_unrecorded_total", found) == {(): 10 * expected}


@pytest.mark.usefixtures("_recorded_nothing")
def test_what_others_invent_makes_no_labels(client):
    one = Recorder(hub_settings.CELERY_BROKER_URL)
    for code in (None, 42, 123456789):
        one.add(note(code=code, path="/ocpi/2.2.1/somewhere/else"))
    one.flush()
    copy_to_table()
    labels = of("flexhub_messages_total", scrape(client))
    assert labels == {
        ("none", "IN", "forward", "none"): 1,
        ("other", "IN", "forward", "none"): 2,
    }


def test_traffic_is_counted(hub, cpo, emsp):
    recorded()
    before = _forwarded()
    ids = {"X-Correlation-ID": f"counted-{time.monotonic_ns()}"}
    ask(hub, cpo, "GET", "sender/tokens", to=emsp, headers=ids)
    ask(hub, cpo, "GET", "sender/any-custom-module", to=emsp, headers=ids)
    recorded(3, correlation_id=ids["X-Correlation-ID"])
    after = _forwarded()
    assert after["tokens"] - before["tokens"] == 2
    assert after["custom"] >= before["custom"]


def _forwarded() -> dict[str, int]:
    counts = {"tokens": 0, "custom": 0}
    for tally in Tally.objects.filter(name="messages"):
        _, kind, module, _, _ = tally.labels.split("|")
        if kind == "forward" and module in counts:
            counts[module] += tally.number
    return counts


@pytest.mark.usefixtures("_recorded_nothing")
def test_deliveries_that_wait_and_their_age_are_told_by_receiver(client):
    receiver = rows.platform("Slimladen", ("NL", "SCS", "SCSP"))
    rows.platform("Another", ("DE", "MSP", "EMSP"))
    now = timezone.now()
    for age, state in ((90, "WAITING"), (5, "WAITING"), (900, "DELIVERED")):
        _push(receiver, state, created_at=now - timedelta(seconds=age))
    found = scrape(client)
    label = f"{receiver.pk} Slimladen"
    assert of("flexhub_deliveries_waiting", found) == {(label,): 2}
    (age,) = of("flexhub_delivery_queue_age_seconds", found).values()
    assert 90 <= age < 3600
    assert of("flexhub_parties", found) == {("EMSP", "CONNECTED"): 1, ("SCSP", "CONNECTED"): 1}


@pytest.mark.django_db
def test_workers_are_told_by_queue_also_one_that_has_died(client):
    WorkerProcess.objects.all().delete()
    now = timezone.now()
    for name, queue, seconds in (
        ("a", "deliveries", 5),
        ("b", "deliveries", -60),
        ("c", "pulls", 5),
    ):
        until = now + timedelta(seconds=seconds)
        WorkerProcess.objects.create(name=name, queue=queue, lease_until=until)
    found = scrape(client)
    alive = {queue: number for (queue,), number in of("flexhub_workers", found).items()}
    assert alive == {"profiles": 0, "deliveries": 1, "pulls": 1, "upkeep": 0}
    silent = {queue: age for (queue,), age in of("flexhub_worker_silent_seconds", found).items()}
    assert set(silent) == {"deliveries", "pulls"}
    assert silent["deliveries"] - silent["pulls"] == pytest.approx(65)


def _push(receiver, state="WAITING", **changes) -> None:
    values = {
        "ordering_key": "k",
        "module": "locations",
        "method": "PUT",
        "interface_role": "RECEIVER",
        "path": "NL/CPO/L1",
        "body": b"{}",
        "correlation_id": "c",
        "to_country_code": "NL",
        "to_party_id": "SCS",
    }
    Delivery.objects.create(receiver=receiver, state=state, **(values | changes))


def test_what_a_drain_carries_is_counted_by_receiver(hub, client):
    taker, refuser = (hub.join(Stranger(Role.EMSP, listens=False)) for _ in range(2))
    refuser.simulator.says = lambda message: raw(b"<html>", 500)
    for running in (taker, refuser):
        party = running.simulator.party
        receiver = Party.objects.get(party_id=party.party_id).platform
        _push(receiver, module=CUSTOM, to_country_code=party[0], to_party_id=party[1])
    until(lambda: not Delivery.objects.filter(module=CUSTOM, state="WAITING").exists())

    def counted() -> bool:
        recorded()
        found = of("flexhub_deliveries_total", samples(hub.http("GET", "/metrics").text))
        names = {(labels[0].partition(" ")[0], labels[1]): n for labels, n in found.items()}
        return all(
            names.get((str(_platform_of(running)), state)) == 1
            for running, state in ((taker, "DELIVERED"), (refuser, "REFUSED"))
        )

    until(counted)


def _platform_of(running) -> int:
    return Party.objects.get(party_id=running.simulator.party.party_id).platform_id


@pytest.mark.usefixtures("_recorded_nothing")
def test_dropped_pushes_are_counted_by_receiver(client, django_capture_on_commit_callbacks):
    receiver = rows.platform("Slimladen", ("NL", "SCS", "SCSP"))
    drops = (
        lambda: party_status.is_away(receiver.pk, "nobody answers"),
        lambda: onboarding.suspend(PartyId("NL", "SCS")),
        lambda: onboarding.unregister(receiver.pk),
    )
    for drop in drops:
        _push(receiver)
        _push(receiver)
        with django_capture_on_commit_callbacks(execute=True):
            drop()
    recorder.flush()
    copy_to_table()
    found = of("flexhub_deliveries_total", scrape(client))
    assert found == {
        (f"{receiver.pk} Slimladen", "FAILED"): 2,
        (f"{receiver.pk} Slimladen", "DROPPED"): 4,
    }


@pytest.mark.usefixtures("_recorded_nothing")
def test_profile_commands_are_counted_by_how_they_ended(client, django_capture_on_commit_callbacks):
    cpo = rows.platform("Volt", ("NL", "CPO", "CPO"))
    scsp = rows.platform("Slimladen", ("NL", "SCS", "SCSP"))
    session = rows.session(1)
    age = timedelta(seconds=1)
    due = timezone.now() - age
    accepted = rows.command(session, scsp, cpo, "ACCEPTED", age, result_by=due)
    waiting = rows.command(session, scsp, cpo, "SENDING", age, method="GET")
    rows.command(session, scsp, cpo, "ACCEPTED", age, result_by=due)
    rows.command(session, scsp, cpo, "SENDING", age, answer_by=due)
    lease, refused = Lease(waiting.fence, leases.clock()), Said(CommandState.REFUSED, 200, b"{}")
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            accepted.record_result("ACCEPTED", b"{}")
            answered = sql.run(*waiting.answered(refused, lease))
            order.tell(answered)
            ProfileCommand.end_overdue()
    recorder.flush()
    copy_to_table()
    assert of("flexhub_profile_commands_total", scrape(client)) == {
        ("GET", "REFUSED"): 1,
        ("PUT", "EXPIRED"): 1,
        ("PUT", "RESULT_ACCEPTED"): 1,
        ("PUT", "TIMED_OUT"): 1,
    }


@pytest.mark.usefixtures("_recorded_nothing")
def test_deviations_are_counted_by_platform_and_rule_whatever_their_path_and_example(client):
    sender = rows.platform("Volt", ("NL", "CPO", "CPO"))
    for path in ("Session.last_updated", "CDR.last_updated"):
        noting.note(sender.pk, [Deviation("date-time", path, "2026-01-01 00:00:00")])
    noting.note(sender.pk, [Deviation("length", "Location.name", "x" * 300)])
    noting.flush()
    found = of("flexhub_deviations_total", scrape(client))
    label = f"{sender.pk} Volt"
    assert found == {(label, "date-time"): 2, (label, "length"): 1}
    DeviationCount.objects.all().delete()  # As retention does; a counter never falls.
    assert of("flexhub_deviations_total", scrape(client)) == found


# --- Who may read it ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_with_a_token_only_its_bearer_may(client, settings):
    settings.METRICS_TOKEN = TOKEN
    scrape(client, HTTP_AUTHORIZATION=f"Bearer {TOKEN}")
    for wrong in ("", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer é"):
        response = client.get("/metrics", HTTP_AUTHORIZATION=wrong)
        assert response.status_code == 401, wrong
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert b"flexhub_" not in response.content
    assert client.get("/metrics").status_code == 401


@pytest.mark.django_db
def test_without_a_token_only_this_machine_may_and_only_in_a_trial(client, settings):
    settings.METRICS_TOKEN, settings.IS_TRIAL = "", True
    scrape(client)
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 401
    assert client.get("/metrics", REMOTE_ADDR="").status_code == 401
    for header in ("X_FORWARDED_FOR", "FORWARDED", "X_REAL_IP", "VIA"):
        assert client.get("/metrics", **{f"HTTP_{header}": "127.0.0.1"}).status_code == 401
    # A proxy of the same machine may say nothing of whom it speaks for.
    settings.IS_TRIAL = False
    assert client.get("/metrics").status_code == 401


@pytest.mark.django_db
def test_staff_may_read_it_at_the_console(settings):
    settings.METRICS_TOKEN = TOKEN
    for who, status in (({"is_superuser": True}, 200), ({}, 401)):
        browser = Client()
        browser.force_login(User.objects.create(username=f"user {who}", is_staff=True, **who))
        assert browser.get("/metrics").status_code == status


def test_it_is_served_over_http_with_and_without_valkey(hub):
    with changed_setting("CELERY_BROKER_URL", "redis://127.0.0.1:9/0"):
        answer = hub.http("GET", "/metrics")
    assert answer.status_code == 200
    assert "# TYPE flexhub_messages_total counter" in answer.text
