"""Which Sessions are kept without a thread, and that all others go the long way (decision 0030)."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from flex.models import FlexExclusion, FspAssignment
from hub.db.notify import connection_parameters
from hub.models import Delivery
from hub.ocpi.party import PartyId
from hub.outbound.forwarded import Forwarded
from sessions.models import Session
from simulators.testing import PATIENCE
from tests.at_once import accepted, is_kept_at_once, keep_on_a_thread
from tests.flex.agreements import acts, agree
from tests.scripted import Actor, code

LATER = "2026-03-01T11:00:00Z"
PATCH = {"kwh": 3.5, "status": "COMPLETED", "x_own": 1, "last_updated": LATER}


def forwarded(cast, method: str, session_id: str, body: dict[str, Any], to: Actor) -> Forwarded:
    return accepted("sessions", method, [session_id], body, (cast.cpo.party, to.party))


def put(cast, session_id: str, to: Actor | None = None, **changes: Any) -> Forwarded:
    document = cast.cpo.session(session_id, cast.emsp, **changes)
    return forwarded(cast, "PUT", session_id, document, to or cast.emsp)


def patch(cast, session_id: str, **changes: Any) -> Forwarded:
    return forwarded(cast, "PATCH", session_id, PATCH | changes, cast.emsp)


def columns(session_id: str) -> dict[str, Any]:
    """Everything that is kept of it, except when, and by which number."""
    row: dict[str, Any] = {**Session.objects.named(session_id).values().get()}
    row["document"] = bytes(row["document"]).replace(session_id.encode(), b"ID")
    for name in ("id", "session_id", "received_at", "created_at", "underway_until"):
        del row[name]
    return row


CHANGES: list[dict[str, Any]] = [
    {"kwh": 2.5, "status": "COMPLETED", "last_updated": LATER},
    {"location_id": "", "evse_uid": None, "last_updated": LATER},
    {"cdr_token": {"uid": 'odd "\\ one', "country_code": "", "party_id": ""}},
    {"last_updated": "no time"},
    {"status": "charging", "last_updated": "2026-03-01T10:00:00.5+00:00"},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_what_is_kept_at_once_is_what_a_thread_keeps(cast, changes):
    for method in ("PUT", "PATCH"):
        names = f"SAME-{method}-1", f"SAME-{method}-2"
        kept = []
        for name in names:
            Session.objects.named(name).delete()
            assert code(cast.cpo.put_session(name, cast.emsp)) == 1000
            body = changes if method == "PATCH" else cast.cpo.session(name, cast.emsp, **changes)
            message = forwarded(cast, method, name, body, cast.other_emsp)
            if name == names[0]:
                assert is_kept_at_once(message)
            else:
                keep_on_a_thread(message)
            row = columns(name)
            if changes["last_updated" if "last_updated" in changes else "cdr_token"] == "no time":
                del row["last_updated"], row["put_last_updated"]  # Those of its arrival.
            kept.append(row)
        assert kept[0] == kept[1]
        assert str(cast.other_emsp.party) in kept[0]["sent_to"]


def test_a_known_session_that_is_given_to_nobody_is_kept_at_once(cast):
    cast.cpo.put_session("ONCE-1", cast.emsp)
    assert is_kept_at_once(put(cast, "ONCE-1", kwh=2))
    assert is_kept_at_once(patch(cast, "ONCE-1"))
    session = Session.objects.named("ONCE-1").get()
    assert (session.status, session.kwh, b'"x_own":1' in bytes(session.document)) == (
        "COMPLETED",
        3.5,
        True,
    )


def test_everything_else_goes_the_long_way_and_nothing_of_it_is_written(cast):
    assert not is_kept_at_once(put(cast, "ONCE-2"))
    assert not is_kept_at_once(patch(cast, "ONCE-2"))
    assert not Session.objects.named("ONCE-2").exists()

    cast.cpo.put_session("ONCE-3", cast.emsp, last_updated="2026-03-01T10:30:00Z")
    before = columns("ONCE-3")

    def refuses(*messages: Forwarded) -> None:
        assert [is_kept_at_once(message) for message in messages] == [False] * len(messages)
        assert columns("ONCE-3") | {"has_waiting": False} == before

    refuses(put(cast, "ONCE-3"))  # It is older.
    newer = put(cast, "ONCE-3", last_updated=LATER), patch(cast, "ONCE-3")
    row = Session.objects.named("ONCE-3")
    row.update(has_waiting=True)
    refuses(*newer)
    row.update(has_waiting=False)
    # Its FSP has what is as new from the CPO itself.
    one = acts(cast.scsp.party, row.get())
    one.sent(datetime.fromisoformat(LATER), is_whole=True)
    refuses(*newer)
    one.delete()
    acts(PartyId("XX", "NOB"), row.get())  # It is not here.
    refuses(*newer)
    with psycopg.connect(**connection_parameters()) as holder:
        holder.execute("DELETE FROM flex_fspassignment")
        holder.commit()
        holder.execute("SELECT FROM ocpi_sessions_session WHERE id = %s FOR UPDATE", [row.get().pk])
        refuses(*newer)
    assert all(map(is_kept_at_once, newer))


def test_one_whose_fsp_alone_gets_it_is_kept_at_once(cast):
    cast.cpo.put_session("ONCE-4", cast.emsp)
    session = Session.objects.named("ONCE-4").get()
    one = acts(cast.emsp.party, session)
    assert is_kept_at_once(put(cast, "ONCE-4", kwh=1))
    one.delete()
    acts(cast.scsp.party, session)
    # What the CPO itself has sent the FSP last is to be known.
    assert not is_kept_at_once(put(cast, "ONCE-4", cast.scsp, kwh=1))


def given(session_id: str) -> list[Any]:
    """The FSP of a Session, and what the hub owes it: all but times, numbers, and whose turn."""
    session = Session.objects.named(session_id).get()
    found: list[Any] = [*FspAssignment.objects.filter(session=session).values()]
    owed = Delivery.objects.filter(ordering_key__startswith=f"session:{session.pk} ")
    found += owed.order_by("pk").values()
    mine = {"id", "session_id", "started_at", "created_at", "ended_at", "state", "outcome"}
    mine |= {"attempts", "correlation_id"}
    told = [{name: value for name, value in row.items() if name not in mine} for row in found]
    for row in told:
        if "ordering_key" in row:
            row["ordering_key"] = row["ordering_key"].replace(f":{session.pk} ", ":PK ")
    return [str(row).replace(session_id, "ID") for row in told]


@pytest.mark.parametrize("scope", ["cpo", "token", "another"])
def test_what_is_given_at_once_is_what_a_thread_gives(cast, scope):
    """By an agreement that fits what is kept, or only what is told now; and by an assignment."""
    names = f"GIVEN-{scope}-1", f"GIVEN-{scope}-2"
    for name in names:
        cast.cpo.put_session(name, cast.emsp)
    agree(cast.scsp, cpo=cast.cpo)
    if scope != "cpo":
        agree(cast.scsp, emsp=cast.emsp, token_uid="another" if scope == "another" else "token-1")
    changes = {"cdr_token": {"uid": "ANOTHER"}} if scope == "another" else {"kwh": 2.5}
    for name, keep in zip(names, (is_kept_at_once, keep_on_a_thread), strict=True):
        assert keep(put(cast, name, **changes)) is not False
        assert keep(patch(cast, name, status="CHARGING")) is not False
        assert keep(put(cast, name, last_updated="2026-03-01T12:00:00Z")) is not False
    first, second = map(given, names)
    assert first == second
    assert len(first) == 4
    assert "'is_relayed': True" in first[0]
    assert len(cast.scsp.wait_for(names[0], count=3)) == 3


def test_one_for_which_no_word_counts_is_kept_at_once_and_gets_no_fsp(cast):
    for name in ("OVER-1", "EXCLUDED-1"):
        cast.cpo.put_session(name, cast.emsp)
    agree(cast.scsp, cpo=cast.cpo)
    assert is_kept_at_once(put(cast, "OVER-1", status="COMPLETED", last_updated=LATER))
    assert is_kept_at_once(patch(cast, "OVER-1", kwh=4))
    FlexExclusion.objects.create(
        cpo_country_code=cast.cpo.party.country_code, cpo_party_id=cast.cpo.party.party_id
    )
    assert is_kept_at_once(put(cast, "EXCLUDED-1", kwh=2))
    assert is_kept_at_once(patch(cast, "EXCLUDED-1", status="ACTIVE"))
    sessions = Session.objects.filter(session_id__in=["OVER-1", "EXCLUDED-1"]).order_by("pk")
    assert [(one.status, one.kwh) for one in sessions] == [("COMPLETED", 4), ("ACTIVE", 3.5)]
    assert not FspAssignment.objects.filter(session__in=sessions).exists()


def test_one_that_somebody_holds_waits_alone_and_is_answered_when_it_is_kept(cast):
    for name in ("HELD", "FREE"):
        cast.cpo.put_session(name, cast.emsp)
    pk = Session.objects.named("HELD").get().pk
    with ThreadPoolExecutor(1) as pool, psycopg.connect(**connection_parameters()) as holder:
        holder.execute("SELECT FROM ocpi_sessions_session WHERE id = %s FOR UPDATE", [pk])
        held = pool.submit(cast.cpo.put_session, "HELD", cast.emsp, kwh=9)
        cast.emsp.wait_for("HELD", count=2)
        for kwh in range(5):
            assert code(cast.cpo.put_session("FREE", cast.emsp, kwh=kwh)) == 1000
        assert not held.done()
        holder.rollback()
        assert code(held.result(PATIENCE)) == 1000
    assert Session.objects.named("HELD").get().kwh == 9


def test_patches_at_once_of_one_session_lose_nothing(cast):
    cast.cpo.put_session("MANY", cast.emsp)
    start = threading.Barrier(8)

    def send(number: int) -> int:
        start.wait(PATIENCE)
        body = {f"x_{number}": number, "last_updated": LATER}
        return code(cast.cpo.send("PATCH", cast.cpo.session_path("MANY"), body, to=cast.emsp))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(8))) == {1000}
    document = json.loads(bytes(Session.objects.named("MANY").get().document))
    assert {f"x_{number}" for number in range(8)} <= document.keys()
    assert Session.objects.named("MANY").get().received_at <= timezone.now()
