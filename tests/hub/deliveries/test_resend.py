"""Messages that were given up: kept within a quota, and sent again in their order."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone

from flex.models import FspAssignment
from hub.deliveries import resend
from hub.models import Agreement, Delivery, Party, Platform
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.parties import onboarding
from hub.routing.directory import holder
from tests.flex.agreements import acts
from tests.hub.console import rows
from tests.hub.strangers import CUSTOM, Stranger, raw, until

INVALID = b'{"status_code":2001,"status_message":"Invalid","timestamp":"T"}'


def message(receiver_id: int, to: tuple[str, str], path: str, **changes: Any) -> Delivery:
    """One that the hub owes."""
    values: dict[str, Any] = {
        "ordering_key": "key",
        "module": CUSTOM,
        "method": "PUT",
        "interface_role": "RECEIVER",
        "body": path.encode(),
        "from_country_code": "NL",
        "from_party_id": "HUB",
        "correlation_id": str(uuid4()),
    }
    named = {"to_country_code": to[0], "to_party_id": to[1]}
    return Delivery.objects.create(receiver_id=receiver_id, path=path, **(values | named | changes))


def states(*those: Delivery) -> list[str]:
    for one in those:
        one.refresh_from_db()
    return [one.state for one in those]


def resent(party: tuple[str, str], *options: str) -> dict:
    out = StringIO()
    call_command("resend", *party, "--json", *options, stdout=out)
    told: dict = json.loads(out.getvalue())
    return told


def test_they_arrive_in_their_order_but_never_after_something_newer(hub):
    emsp = hub.join(Stranger(Role.EMSP, listens=False))
    party = emsp.simulator.party
    platform = Party.objects.get(party_id=party.party_id).platform_id

    def push(path: str, key: str) -> Delivery:
        row = message(platform, party, path, ordering_key=key)
        outbox.nudge("deliveries")
        return row

    emsp.simulator.says = lambda _: raw(INVALID)
    old, other = push("1", "a"), push("2", "a")
    many = [push(f"b{n}", "b") for n in range(5)]
    until(lambda: set(states(old, other, *many)) == {"REFUSED"})
    emsp.simulator.says = Stranger.says_yes
    newer = push("1", "a")
    until(lambda: states(newer) == ["DELIVERED"])
    emsp.simulator.got.clear()
    onboarding.suspend(party)
    assert resent(party) == {"resent": 0, "left": {resend.NEWER: 1, resend.AWAY: 6}}
    onboarding.resume(party)
    assert resent(party, "--dry-run", "--module", CUSTOM) == {"kept": 7}
    assert resent(party, "--dry-run", "--module", "sessions") == {"kept": 0}
    assert resent(party) == {"resent": 6, "left": {resend.NEWER: 1}}
    until(lambda: set(states(other, *many)) == {"DELIVERED"})
    assert states(old) == ["REFUSED"]
    came = [one.body.decode() for one in emsp.simulator.got]
    assert sorted(came) == ["2", "b0", "b1", "b2", "b3", "b4"]
    assert [one for one in came if one != "2"] == ["b0", "b1", "b2", "b3", "b4"]
    assert resent(party) == {"resent": 0, "left": {resend.NEWER: 1}}


@pytest.fixture
def scsp(db) -> Platform:
    holder._snapshot = None
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    rows.platform("Autostrom", ("DE", "MSP", "EMSP"))
    return rows.platform("Slimladen", ("NL", "SCS", "SCSP"))


def test_a_session_goes_again_while_nothing_newer_came_and_its_pair_is_open(scsp):
    kept = rows.session(1)
    fsp = acts(PartyId("NL", "SCS"), kept)
    key = f"session:{kept.pk} {kept.owner}"
    given_up: dict[str, Any] = {"module": "sessions", "ordering_key": key, "state": "FAILED"}
    given_up["body"] = bytes(kept.document)
    put = message(scsp.pk, ("NL", "SCS"), "NL/CPO/S", from_party_id="CPO", **given_up)
    wish = {"interface_role": "SENDER", "from_country_code": "DE", "from_party_id": "MSP"}
    wishes = message(scsp.pk, ("NL", "SCS"), "S/charging_preferences", **given_up | wish)

    def tried() -> tuple[int, dict]:
        result = resend.again([put.pk, wishes.pk], by="somebody")
        Delivery.objects.filter(pk__in=[put.pk, wishes.pk]).update(state="FAILED")
        return result.number, dict(result.left)

    assert tried() == (2, {})
    # What waits is on its way perhaps: nothing older of this Session may follow it.
    waits = message(scsp.pk, ("NL", "SCS"), "x", **given_up | {"state": "WAITING"})
    assert tried() == (0, {resend.NEWER: 2})
    Delivery.objects.filter(pk=waits.pk).update(state="DELIVERED")
    assert tried() == (2, {})
    Delivery.objects.filter(pk=waits.pk).update(path="NL/CPO/S")
    assert tried() == (1, {resend.NEWER: 1})
    waits.delete()
    fsp.sent(kept.last_updated - timedelta(seconds=1), is_whole=True)
    assert tried() == (2, {})
    fsp.sent(kept.last_updated, is_whole=True)
    assert tried() == (1, {resend.FROM_CPO: 1})
    FspAssignment.objects.update(fsp_party_id="XXX", sent_last_updated=None)
    assert tried() == (0, {resend.NOT_ITS_FSP: 2})
    FspAssignment.objects.update(fsp_party_id="SCS")
    closed = Agreement.objects.create(
        country_code_a="NL", party_id_a="CPO", country_code_b="NL", party_id_b="SCS", is_open=False
    )
    holder._snapshot = None
    assert tried() == (0, {resend.CLOSED: 2})
    closed.delete()
    holder._snapshot = None
    kept.delete()
    assert tried() == (0, {resend.NO_SESSION: 2})


def test_of_each_receiver_the_oldest_bodies_go_beyond_its_quota(scsp, settings, caplog):
    settings.RESEND_BYTES_PER_RECEIVER = 3 * (resend.ROW_BYTES + 50)
    other = rows.platform("Other", ("FR", "SCS", "SCSP"))
    ended = {
        "state": "FAILED",
        "created_at": timezone.now() - timedelta(hours=1),
        "body": b"x" * 50,
    }
    mine = [message(scsp.pk, ("NL", "SCS"), str(n), **ended) for n in range(5)]
    mine.append(message(scsp.pk, ("NL", "SCS"), "waits", **ended | {"state": "WAITING"}))
    mine.append(message(scsp.pk, ("NL", "SCS"), "came", **ended | {"state": "DELIVERED"}))
    others = [message(other.pk, ("FR", "SCS"), str(n), **ended) for n in range(2)]
    assert resend.keep_within_quota() == 2
    assert resend.keep_within_quota() == 0
    states(*mine, *others)
    assert [one.is_kept for one in mine] == [False, False, True, True, True, True, True]
    assert [len(bytes(one.body)) for one in mine] == [0, 0, 50, 50, 50, 50, 50]
    assert all(one.is_kept for one in others)
    assert f"platform {scsp.pk}: 2 messages" in caplog.text
    mine[5].delete()
    gone = resend.again([mine[0].pk, mine[2].pk], by="somebody")
    assert (gone.number, dict(gone.left)) == (1, {resend.GONE: 1})
