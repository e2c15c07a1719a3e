"""Alerts: what begins one, who is told of it, once, and of its end; whatever goes wrong between."""

import base64
import hashlib
import hmac
import ssl
from datetime import timedelta
from email import header

import pytest
from cryptography.hazmat.primitives import serialization
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from charging_profiles.models import CommandState, ProfileCommand
from flex.knowledge.models import ProfileEffect
from hub.models import Backup, Platform, StaleCopy, Timer, WorkerProcess
from hub.models.workers import QUEUES
from hub.monitoring.alerts import certificates, conditions, settling, tasks, telling, watching
from hub.monitoring.alerts.models import Alert, Certificate, Kind, Notice, Rule, Target
from hub.ocpi.errors import InvalidParameters
from hub.record import minutes
from hub.record.models import Minute
from tests.cases import case
from tests.hub import tls_servers
from tests.hub.console import rows
from tests.hub.monitoring.alert_receivers import mail_server, receiver
from tests.hub.recording import message

VERSION_3 = b"\xa0\x03\x02\x01\x02"
AWAY = "cpo.example:443 cannot be reached: connection refused."


@pytest.fixture(autouse=True)
def _no_rules(db) -> None:
    """The rules that a new hub has would find other things here."""
    Rule.objects.all().delete()


@pytest.fixture
def away(db) -> Platform:
    """A platform that has been OFFLINE for an hour."""
    platform = rows.platform("Bornes du Sud", ("FR", "BDS", "CPO"), ("FR", "BDS", "EMSP"))
    go(platform, "OFFLINE")
    return platform


def go(platform: Platform, status: str) -> None:
    hour_ago = timezone.now() - timedelta(hours=1)
    platform.parties.update(status=status, last_updated=hour_ago)


def rule(kind: str = "OFFLINE", limit: float = 10, **values) -> Rule:
    return Rule.objects.create(
        **{"name": f"rule {Rule.objects.count()}", "kind": kind, "limit": limit, "ends_after": 0}
        | values
    )


def target(url: str, channel: str = "WEBHOOK", name: str = "shift", **values) -> Target:
    return settling.keep(Target(name=name, channel=channel, **values), url)


def take_turn() -> None:
    """As a worker does, whatever pause a target was given."""
    Target.objects.update(not_before=None)
    watching.watch()
    telling.tell()


def test_an_alert_arrives_signed_and_so_does_its_end(away):
    rule(severity="CRITICAL")
    with receiver() as shift:
        made = target(shift.url)
        take_turn()
        take_turn()
        go(away, "CONNECTED")
        take_turn()
        take_turn()
        began, ended = shift.bodies
    alert = Alert.objects.get()
    assert began["event"] == "began"
    assert began["alert"]["summary"].startswith("Bornes du Sud (FR-BDS) is OFFLINE since")
    assert began["alert"]["severity"] == "critical"
    assert began["alert"]["ended_at"] is None
    assert began["alert"]["url"].endswith(reverse("admin:alerts_alert_change", args=[alert.pk]))
    assert (ended["event"], ended["alert"]["id"]) == ("ended", alert.pk)
    assert ended["alert"]["ended_at"] is not None
    for headers, body in shift.told:
        key = base64.b64decode(made.secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        assert headers["webhook-signature"] == f"v1,{digest}"
    assert len({headers["webhook-id"] for headers, _ in shift.told}) == 2


def test_it_is_told_once_however_many_processes_look_and_tell(away, transactional_db):
    rule()
    with receiver() as shift:

        def another_process() -> None:
            """While the first one waits for the answer."""
            take_turn()
            connection.close()

        shift.before_answer = another_process
        target(shift.url)
        take_turn()
        take_turn()
        assert [body["event"] for body in shift.bodies] == ["began"]
    assert Alert.objects.count() == 1


def test_what_comes_and_goes_is_one_alert(away):
    rule(ends_after=3600)
    with receiver() as shift:
        target(shift.url)
        for status in ("OFFLINE", "CONNECTED", "OFFLINE", "CONNECTED"):
            go(away, status)
            take_turn()
        assert [body["event"] for body in shift.bodies] == ["began"]
        Alert.objects.update(seen_at=timezone.now() - timedelta(hours=2))
        take_turn()
        assert [body["event"] for body in shift.bodies] == ["began", "ended"]


def test_in_quiet_hours_only_critical_ones_are_told_and_the_others_afterwards(away):
    now = timezone.now()
    quiet = {
        "quiet_from": (now - timedelta(hours=2)).time(),
        "quiet_until": (now + timedelta(hours=2)).time(),
    }
    rule()
    rule(severity="CRITICAL", name="critical")
    with receiver() as shift:
        sleeping = target(shift.url, **quiet)
        take_turn()
        assert [body["alert"]["rule"] for body in shift.bodies] == ["critical"]
        sleeping.refresh_from_db()
        sleeping.quiet_from = sleeping.quiet_until = None
        sleeping.save()
        take_turn()
        assert [body["alert"]["rule"] for body in shift.bodies] == ["critical", "rule 0"]


def test_quiet_hours_may_pass_midnight_and_are_of_a_place():
    from_22 = {"quiet_from": "22:00", "quiet_until": "07:00"}
    day = {"quiet_from": "12:00", "quiet_until": "13:00"}
    amsterdam = from_22 | {"time_zone": "Europe/Amsterdam"}
    for hours, at, is_quiet in (
        (from_22, "2026-01-10T23:00:00+00:00", True),
        (from_22, "2026-01-10T06:59:00+00:00", True),
        (from_22, "2026-01-10T07:00:00+00:00", False),
        (day, "2026-01-10T12:00:00+00:00", True),
        (day, "2026-01-10T13:00:00+00:00", False),
        (amsterdam, "2026-07-10T20:30:00+00:00", True),
        (amsterdam, "2026-07-10T05:30:00+00:00", False),
        ({}, "2026-01-10T23:00:00+00:00", False),
    ):
        with case(f"{hours} {at}"):
            found = Target(**hours)
            found.clean_fields(exclude=["name"])
            assert found.is_quiet(timezone.datetime.fromisoformat(at)) is is_quiet


def test_a_target_that_is_down_is_tried_again(away):
    rule()
    with receiver() as shift:
        made = target(shift.url)
        shift.status = 503
        take_turn()
        made.refresh_from_db()
        assert made.problem == "It answered with HTTP 503."
        assert made.failures == 1
        assert made.not_before > timezone.now()
        # Not before its pause is over.
        telling.tell()
        assert len(shift.told) == 1
        shift.status = 200
        take_turn()
        take_turn()
        first, second = (headers["webhook-id"] for headers, _ in shift.told)
        assert first == second
    made.refresh_from_db()
    assert (made.problem, made.failures) == ("", 0)
    assert Notice.objects.get().attempts == 2


def test_what_is_over_before_it_could_be_told_is_one_message(away):
    rule()
    with receiver() as shift:
        shift.status = 500
        target(shift.url)
        take_turn()
        shift.status = 200
        go(away, "CONNECTED")
        take_turn()
        take_turn()
        assert [body["event"] for body in shift.bodies] == ["began", "ended"]
        assert Notice.objects.get(event="BEGAN").withdrawn
        assert Notice.objects.get(event="ENDED").told_at is not None


def test_a_rule_may_have_targets_of_its_own_and_a_party(away):
    with receiver() as shift, receiver() as others:
        one = target(shift.url)
        target(others.url, name="others")
        rule(party="FR-BDS").targets.add(one)
        rule(party="NL-CPO", name="of nobody here")
        take_turn()
        assert [body["alert"]["rule"] for body in shift.bodies] == ["rule 0"]
        assert others.told == []


def test_it_is_known_since_when_somebody_looks(away):
    made = rule()
    take_turn()
    made.refresh_from_db()
    first = made.watched_since
    take_turn()
    made.refresh_from_db()
    assert made.watched_since == first
    assert made.looked_at > first
    Rule.objects.update(looked_at=timezone.now() - timedelta(hours=1))
    take_turn()
    made.refresh_from_db()
    assert made.watched_since > first


def test_a_rule_that_is_turned_off_ends_its_alerts(away):
    made = rule(ends_after=3600)
    take_turn()
    made.is_on = False
    made.save()
    take_turn()
    assert Alert.objects.get().is_over


def test_many_of_a_kind_are_told_in_few_messages(db):
    for number in range(watching.MOST_ALERTS + 5):
        go(rows.platform(f"P{number}", ("NL", f"{number:03}", "CPO")), "OFFLINE")
    rule()
    take_turn()
    take_turn()
    open_now = set(Alert.objects.values_list("subject", flat=True))
    assert len(open_now) == watching.MOST_ALERTS + 1
    assert Alert.objects.get(subject=watching.OTHERS).summary == "5 more of the same kind."


def test_a_rule_or_target_that_fails_in_any_way_keeps_no_other_from_its_turn(away):
    rule(limit=1e300, name="longer than any time there is")
    rule()
    with receiver() as shift:
        target("http://127.0.0.1:9/", name="nowhere", quiet_from="22:00", quiet_until="07:00")
        Target.objects.update(time_zone="Mars/Olympus")
        target(shift.url)
        tasks.watch()
        assert [body["event"] for body in shift.bodies] == ["began"]
    for limit in (-1.0, 1e300, float("inf"), float("nan")):
        with case(limit), pytest.raises(InvalidParameters, match="A limit is a number from 0 to"):
            settling.check_limit(limit)


# --- Channels -------------------------------------------------------------------------------------


def test_slack_gets_a_text_in_which_nothing_is_markup(away):
    Platform.objects.update(name="Bornes <du> Sud & Cie")
    rule(name="Party OFFLINE")
    with receiver() as channel:
        target(channel.url, "SLACK")
        take_turn()
        (body,) = channel.bodies
    assert body["text"].startswith("*[NL-HUB] Warning: Party OFFLINE*\nBornes &lt;du&gt; Sud &amp;")
    assert "|Look at it>" in body["text"]


def test_an_email_is_sent(away, settings):
    with mail_server() as (port, taken):
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        rule(name="Party OFFLINE")
        target("shift@operator.example", "EMAIL")
        take_turn()
        (mail,) = taken
    assert mail["To"] == "shift@operator.example"
    subject = str(header.make_header(header.decode_header(mail["Subject"])))
    assert subject == "[NL-HUB] Warning: Party OFFLINE"
    assert "is OFFLINE since" in mail.get_payload()
    settings.EMAIL_HOST = ""
    assert "EMAIL_HOST is not set" in settling.test(Target.objects.get())


def test_a_private_address_is_called_only_where_the_operator_has_named_it(away, settings):
    settings.ALLOW_PRIVATE_URLS = settings.ALLOW_HTTP_URLS = False
    rule()
    with receiver() as shift:
        Target(name="shift", channel="WEBHOOK")
        with pytest.raises(Exception, match="must be https"):
            target(shift.url)
        with pytest.raises(Exception, match="private network"):
            target(shift.url.replace("http:", "https:"))
        settings.ALERT_LOCAL_HOSTS = frozenset({"127.0.0.1"})
        made = target(shift.url)
        assert settling.test(made) == ""
        for wrong in (
            "http://shift:open@127.0.0.1/x",
            "http://127.0.0.1:99999/",
            "ftp://127.0.0.1",
        ):
            with case(wrong), pytest.raises(InvalidParameters, match="The target's URL"):
                target(wrong)
        # What was once allowed is looked at again each time. A URL may be a key: it is not told.
        settings.ALERT_LOCAL_HOSTS = frozenset()
        assert settling.test(made).endswith(f"{made.shown_address} must be https.")
        assert "a-key" not in made.problem
        made.address = "https://shift:open@[::1]:8443/a-key"
        assert made.shown_address == "https://[::1]:8443/…"
        assert [body["event"] for body in shift.bodies] == ["test"]


# --- Certificates ---------------------------------------------------------------------------------


def test_the_end_of_a_certificate_is_known_whoever_signed_it(db, tmp_path):
    one = tls_servers.identity(host="localhost", days=(-30, 5))
    with tls_servers.tls_server(one, tmp_path) as url:
        volt = rows.platform("Volt", ("NL", "CPO", "CPO"))
        Platform.objects.update(versions_url=f"{url}/ocpi/versions")
        assert certificates.look() == 1
        assert certificates.look() == 0
    kept = Certificate.objects.get(platform=volt)
    assert kept.ends_at == one.certificate.not_valid_after_utc
    (told,) = found(Kind.CERTIFICATE, 21)
    assert told.endswith(f"(Volt) ends on {kept.ends_at:%d %b %Y}.")
    assert found(Kind.CERTIFICATE, 3) == []
    # Nobody answers any more: what was known stays.
    Certificate.objects.update(looked_at=timezone.now() - timedelta(days=1))
    assert certificates.look() == 1
    assert Certificate.objects.get().ends_at == kept.ends_at
    Platform.objects.update(registered_at=None)
    assert certificates.look() == 0
    assert not Certificate.objects.exists()


class OfNoVersion(tls_servers.Identity):
    """Its certificate says that it is of version 8, which there is not."""

    @property
    def certificate_pem(self) -> bytes:
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        assert VERSION_3 in der
        return ssl.DER_cert_to_PEM_cert(der.replace(VERSION_3, b"\xa0\x03\x02\x01\x07")).encode()


def test_a_certificate_that_cannot_be_read_keeps_no_other_from_its_turn(db, tmp_path):
    made, good = tls_servers.identity(host="localhost"), tls_servers.identity(host="localhost")
    odd = OfNoVersion(made.key, made.certificate)
    with (
        tls_servers.tls_server(odd, tmp_path) as first,
        tls_servers.tls_server(good, tmp_path) as second,
    ):
        for name, party, url in (("Odd", "ODD", first), ("Volt", "CPO", second)):
            platform = rows.platform(name, ("NL", party, "CPO"))
            Platform.objects.filter(pk=platform.pk).update(versions_url=f"{url}/ocpi/versions")
        assert certificates.look() == 2
    known = dict(Certificate.objects.values_list("platform__name", "ends_at"))
    assert known == {"Odd": None, "Volt": good.certificate.not_valid_after_utc}


# --- What each kind finds -------------------------------------------------------------------------


def found(kind: Kind, limit: float, **values) -> list[str]:
    made = Rule(kind=kind, limit=limit, **values)
    return [one.summary for one in conditions.find(made).values()]


def counted(platform_id: int, module: str, number: int, failed: int, direction: str) -> None:
    Minute.objects.create(
        at=timezone.now().replace(second=0, microsecond=0),
        platform_id=platform_id,
        direction=direction,
        module=module,
        number=number,
        failed=failed,
        seconds=1.0,
    )


def test_shares_of_messages_that_fail(db):
    volt = rows.platform("Volt", ("NL", "CPO", "CPO"))
    counted(0, "locations", 100, 30, "IN")
    counted(0, "sessions", 100, 10, "IN")
    counted(0, "tokens", 5, 5, "IN")
    counted(volt.pk, "", 40, 20, "OUT")
    counted(volt.pk, "", 40, 2, "IN")
    within = "messages of the last 10 minutes"
    assert found(Kind.ERRORS, 25) == [
        f"30 of 100 {within} of locations failed.",
        f"20 of 40 {within} to Volt failed.",
    ]
    assert found(Kind.ERRORS, 25, party="NL-CPO") == [f"20 of 40 {within} to Volt failed."]
    assert found(Kind.ERRORS, 60) == []
    long_ago = timezone.now() - timedelta(days=9)
    Minute.objects.filter(module="tokens").update(at=long_ago)
    minutes.forget()
    assert not Minute.objects.filter(module="tokens").exists()


def test_a_backlog_a_handshake_and_a_backup(db, settings):
    volt = rows.platform("Volt", ("NL", "CPO", "CPO"))
    assert found(Kind.BACKLOG, 5) == []
    rows.marks(volt)
    StaleCopy.objects.update(first_at=timezone.now() - timedelta(minutes=9))
    assert found(Kind.BACKLOG, 5)[0].startswith("What waits for Volt waits since")
    assert found(Kind.BACKLOG, 10) == []
    failed = {"module": "credentials", "method": "POST", "ocpi_code": 3001, "is_failed": True}
    message(platform_id=volt.pk, problem=AWAY, kind="hub", **failed)
    assert found(Kind.HANDSHAKE, 60)[0].endswith(AWAY)
    assert found(Kind.BACKUP, 24) == ["There is no backup."]
    assert found(Kind.BACKUP, 0) == []
    Backup.objects.create(ended_at=timezone.now(), where="/backups/1.zip")
    assert found(Kind.BACKUP, 24) == []


def test_workers_turns_and_disks(db):
    WorkerProcess.objects.all().delete()
    Timer.objects.all().delete()
    now = timezone.now()
    for queue in QUEUES[:-1]:
        WorkerProcess.objects.create(name="w", queue=queue, lease_until=now + timedelta(hours=1))
    Timer.objects.create(task="record.copy_to_table", due_at=now - timedelta(minutes=30))
    Timer.objects.create(task="keeping.clean_up", due_at=now - timedelta(minutes=30))
    assert found(Kind.WORKERS, 120) == []
    # It has just come back: that nothing was done meanwhile is no news.
    assert found(Kind.WORKERS, 120, watched_since=now - timedelta(seconds=60)) == []
    assert found(Kind.WORKERS, 120, watched_since=now - timedelta(hours=1)) == [
        "No worker of the queue upkeep is alive.",
        "record.copy_to_table should have been run 30 minutes ago.",
    ]
    assert "% of the disk at / of" in " ".join(found(Kind.DISK, 0))
    assert found(Kind.DISK, 101) == []


def test_effects_that_stay_unknown(db):
    rows.fill()
    command = ProfileCommand.objects.filter(state=CommandState.RESULT_ACCEPTED).get()
    ProfileEffect.objects.create(
        command=command,
        session=command.session,
        cpo="NL-CPO",
        accepted_at=timezone.now(),
        is_counted=True,
    )
    assert found(Kind.EFFECT, 50) == []
    others = ProfileCommand.objects.exclude(pk=command.pk)[: conditions.LEAST_PROFILES - 1]
    for other in others:
        ProfileEffect.objects.create(
            command=other,
            session=command.session,
            cpo="NL-CPO",
            effect="IN_FORCE" if other == others[0] else "UNKNOWN",
            accepted_at=timezone.now(),
            is_counted=True,
        )
    (told,) = found(Kind.EFFECT, 50)
    assert told.startswith("Of 10 profiles that NL-CPO accepted within a day, the effect of 9 is")
