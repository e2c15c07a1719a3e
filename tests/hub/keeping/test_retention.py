"""How long what is stored is kept (hub/keeping/retention.py), by the clean-up job."""

import threading
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection, connections
from django.utils import timezone

from cdrs.models import Cdr
from charging_profiles.models import ProfileCommand
from commands.models import Reservation
from flex import journal
from flex.api.models import Prepared
from flex.journal import Topic
from flex.models import FlexAgreement, FspAssignment, JournalEntry, PreferenceCopy
from hub.console.access.models import AuditEntry, Way
from hub.deviations.models import DeviationCount, LeftOut
from hub.keeping import retention, tasks
from hub.models import Delivery
from sessions.models import Session
from tests.hub.console import rows
from tests.hub.stored import cdr, token
from tokens.models import Token

pytestmark = pytest.mark.django_db


def aged(row, **days: int):
    """The same row, with its dates moved back by so many days."""
    moved = {name: timezone.now() - timedelta(days=count) for name, count in days.items()}
    type(row).objects.filter(pk=row.pk).update(**moved)
    return row


def left(model) -> set[int]:
    return set(model.objects.values_list("pk", flat=True))


def test_sessions_that_ended_go_with_preferences_and_assignments():
    old = aged(rows.session(1, "COMPLETED"), created_at=200, received_at=181)
    rows.preferences(old, 5)
    FspAssignment.objects.create(session=old, epoch=1, reason="first")
    changed_since = aged(rows.session(2, "COMPLETED"), created_at=200, received_at=179)
    silent = aged(rows.session(3, "ACTIVE"), created_at=300, received_at=200)
    gone_silent = aged(rows.session(4, "ACTIVE"), created_at=300, received_at=211)
    assert retention.forget()["sessions"] == 2
    assert left(Session) == {changed_since.pk, silent.pk}
    assert gone_silent.pk not in left(Session)
    assert not PreferenceCopy.objects.exists()
    assert not FspAssignment.objects.exists()


def test_a_bill_is_kept_ten_years():
    young, old = cdr("YOUNG"), cdr("OLD")
    aged(young, received_at=3600, last_updated=5000)
    aged(old, received_at=3660)
    retention.forget()
    assert left(Cdr) == {young.pk}


def test_the_audit_trail_is_kept_a_year_whatever_is_set(settings):
    settings.AUDIT_KEPT_DAYS = 20
    long_ago = timezone.now() - timedelta(days=400)
    for at, who in ((long_ago, "old"), (timezone.now() - timedelta(days=364), "young")):
        AuditEntry.objects.create(at=at, who=who, way=Way.API)
    assert retention.forget()["entries of the audit trail"] == 1
    assert AuditEntry.objects.get().who == "young"


@pytest.mark.parametrize("spelled", [b'"valid":false', b'"valid" : false'])
def test_only_tokens_that_are_not_valid_any_more_go(spelled):
    valid = aged(token("VALID"), last_updated=5000, received_at=5000)
    blocked = token("BLOCKED")
    blocked.document = bytes(blocked.document).replace(b'"valid":true', spelled)
    blocked.save()
    aged(blocked, last_updated=366, received_at=366)
    # A field of the same name elsewhere says nothing of the Token.
    odd = token("ODD", energy_contract={"supplier_name": "x", "valid": False})
    aged(odd, last_updated=5000, received_at=5000)
    just_blocked = token("JUST", valid=False)
    assert retention.forget()["invalid tokens"] == 1
    assert left(Token) == {valid.pk, odd.pk, just_blocked.pk}


def test_commands_preferences_reservations_and_deliveries_that_ended():
    cpo = rows.platform("CPO", ("NL", "CPO", "CPO"))
    session = rows.session(1)
    ended = rows.command(session, cpo, cpo, "EXPIRED", timedelta(days=181))
    waiting = rows.command(session, cpo, cpo, "WAITING", timedelta(days=181))
    rows.preferences(session, 5, received_at=timezone.now() - timedelta(days=181))
    for days in (31, 29):
        Reservation.objects.create(
            emsp="DE-MSP",
            cpo="NL-CPO",
            reservation_id=str(days),
            expiry_date=timezone.now() - timedelta(days=days),
        )
    rows.deliveries(session, cpo)
    Delivery.objects.update(created_at=timezone.now() - timedelta(days=15))
    long_ago = timezone.now() - timedelta(days=181)
    for ended_at in (long_ago, None):
        Prepared.objects.create(
            token_uid="T",
            document=b"{}",
            created_at=long_ago,
            expires_at=long_ago,
            ended_at=ended_at,
        )
    tasks.clean_up()
    assert Prepared.objects.get().ended_at is None
    assert left(ProfileCommand) == {waiting.pk}
    assert ended.pk not in left(ProfileCommand)
    assert not PreferenceCopy.objects.exists()
    assert Reservation.objects.get().reservation_id == "29"
    assert Delivery.objects.get().state == "WAITING"


def test_the_journal_and_agreements_that_name_a_driver():
    session = rows.session(1)
    for days in (181, 179):
        journal.note(session.pk, Topic.PREFERENCES, "the driver leaves at six")
        aged(JournalEntry.objects.latest("pk"), written_at=days)
    now = timezone.now()
    ended = {"is_active": False, "changed_at": now - timedelta(days=366)}
    of_token = {"emsp_country_code": "DE", "emsp_party_id": "MSP", "said_by": "EMSP"}
    of_token |= {"token_uid": "T", "consent_by": "DRIVER", "consented_at": now}
    of_cpo = {"cpo_country_code": "NL", "cpo_party_id": "CPO"}
    for said in (
        of_token | ended,
        of_token | {"valid_until": now - timedelta(days=366)},
        of_token | {"changed_at": now - timedelta(days=900)},
        of_cpo | ended,
    ):
        FlexAgreement.objects.create(kind="NONE", **said)
    forgotten = retention.forget()
    assert (forgotten["lines of the journal"], forgotten["agreements for tokens"]) == (1, 2)
    assert FlexAgreement.objects.filter(is_active=True).get().token_uid == "T"


def test_deviations_by_when_they_were_last_met():
    sender = rows.platform("CPO", ("NL", "CPO", "CPO"))
    now = timezone.now()
    for path, first, last in (("Session.id", 500, 89), ("CDR.id", 500, 91)):
        ages = {"first_at": now - timedelta(days=first), "last_at": now - timedelta(days=last)}
        DeviationCount.objects.create(platform=sender, rule="length", path=path, **ages)
        LeftOut.objects.create(receiver=sender, owner=path[:6], module="tariffs", **ages)
    forgotten = retention.forget()
    assert forgotten["deviations"] == forgotten["counts of what was left out"] == 1
    assert DeviationCount.objects.get().path == "Session.id"
    assert LeftOut.objects.get().owner == "Sessio"


def test_no_days_are_for_ever(settings):
    for rule in retention.RULES:
        setattr(settings, rule.setting, 0)
    aged(rows.session(1, "COMPLETED"), created_at=9000, received_at=9000)
    assert retention.forget() == {}
    assert Session.objects.count() == 1


def test_every_rule_has_a_setting_that_is_at_least_ten_days_by_default():
    assert all(getattr(settings, rule.setting) >= 10 for rule in retention.RULES)


def test_in_batches_and_bounded_in_each_run(caplog):
    for number in range(5):
        aged(rows.session(number, "COMPLETED"), created_at=200, received_at=200)
    with caplog.at_level("INFO", "hub.keeping.retention"):
        assert retention.forget(size=2, most=2)["sessions"] == 4
        assert retention.forget()["sessions"] == 1
    assert "more sessions are past their time" in caplog.text
    assert "past their time and deleted: 1 sessions" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_somebody_changes_just_now_is_left_and_not_waited_for():
    busy, free = cdr("BUSY"), cdr("FREE")
    for one in (busy, free):
        aged(one, received_at=5000)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM ocpi_cdrs_cdr WHERE id = %s FOR UPDATE", [busy.pk])
            held.set()
            done.wait(30)
            cursor.execute("ROLLBACK")
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(30)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        assert retention.forget()["CDRs"] == 1
        assert left(Cdr) == {busy.pk}
    finally:
        done.set()
        holder.join(30)
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")


def test_documents_are_not_read_where_a_column_tells(django_assert_num_queries):
    aged(cdr("OLD"), received_at=5000)
    with django_assert_num_queries(4) as captured:
        retention.forget(rule for rule in retention.RULES if rule.kind == "CDRs")
    assert not any('"document"' in query["sql"] for query in captured.captured_queries)
