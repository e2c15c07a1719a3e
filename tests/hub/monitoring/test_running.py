"""/metrics of the hub's own parts: turns, jobs, broker, connections, backups, parties."""

from datetime import timedelta

import pytest
from django.conf import settings as hub_settings
from django.utils import timezone

from hub.models import Backup, Job, Timer
from hub.monitoring import running
from hub.ocpi.party import PartyId
from hub.record.models import Tally
from hub.record.recorder import Recorder
from hub.record.stream_to_table import copy_to_table
from tests.hub.console import rows
from tests.hub.monitoring.test_metrics import of, scrape
from tests.hub.recording import empty, note


@pytest.mark.django_db
def test_the_parts_of_the_hub_are_told(client, settings):
    now = timezone.now()
    Timer.objects.all().delete()
    Timer.objects.create(task="keeping.clean_up", due_at=now - timedelta(hours=2))
    Timer.objects.create(task="pulls.queue_due", due_at=now + timedelta(hours=1))
    Timer.objects.create(task="of.a.release.before", due_at=now - timedelta(days=9))
    Job.objects.create(queue="pulls", task="pulls.pull", arguments=[1])
    Backup.objects.create(begun_at=now - timedelta(days=3), ended_at=now, where="/kept/one")
    settings.BACKUP_TO = "/kept"
    found = scrape(client)
    late = of("flexhub_turn_late_seconds", found)
    assert late.pop(("keeping.clean_up",)) >= 7200
    assert late == {("pulls.queue_due",): 0}
    jobs = {queue: number for (queue,), number in of("flexhub_jobs", found).items()}
    assert jobs == {"profiles": 0, "deliveries": 0, "pulls": 1, "upkeep": 0}
    assert of("flexhub_broker_up", found) == {(): 1}
    assert sum(of("flexhub_database_connections", found).values()) >= 1
    assert of("flexhub_database_connections_max", found)[()] >= 100
    assert of("flexhub_database_bytes", found)[()] > 1_000_000
    assert of("flexhub_backup_age_seconds", found)[()] >= 3 * 86_400
    assert of("flexhub_backup_too_old", found) == {(): 1}


@pytest.mark.django_db
def test_a_broker_that_is_away_is_a_number_too(client, settings):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    assert of("flexhub_broker_up", scrape(client)) == {(): 0}


@pytest.mark.parametrize(
    ("name", "process"),
    [
        ("flexhub-web-1", "web"),
        ("flexhub-web@-2", "web"),
        ("flexhub-worker-pulls-", "pulls"),
        ("flexhub-profiles", "profiles"),
        ("flexhub backup", "backup"),
        ("flexhub-invented-by-whom", "other"),
        ("psql", "other"),
    ],
)
def test_processes_are_told_by_what_they_are_for(name, process):
    assert running.process_of(name) == process


@pytest.mark.django_db
def test_traffic_of_a_party_has_its_name_while_there_is_room(client):
    empty()
    cpo = rows.platform("Volt", ("NL", "CPO", "CPO"))
    one = Recorder(hub_settings.CELERY_BROKER_URL)
    for sender, platform, code in (
        (PartyId("NL", "CPO"), cpo.pk, 1000),
        (PartyId("NL", "CPO"), cpo.pk, 2001),
        (PartyId("XX", "XXX"), None, 2001),  # a stranger's word
    ):
        one.add(note(sender=sender, platform=platform, code=code))
    one.flush()
    copy_to_table()
    Tally.objects.create(name="party_messages", labels="DE-OLD|OUT|ok", number=5)  # has left
    assert of("flexhub_party_messages_total", scrape(client)) == {
        ("IN", "ok", "NL-CPO"): 1,
        ("IN", "failed", "NL-CPO"): 1,
        ("OUT", "ok", "others"): 5,
    }
