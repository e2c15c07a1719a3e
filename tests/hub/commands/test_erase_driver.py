"""manage.py erase_driver: everything that speaks of a driver, and nothing of others."""

import json
import logging
from datetime import timedelta
from io import StringIO

import msgspec
import pytest
from django.core.management import CommandError
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from cdrs.models import Cdr
from cdrs.objects import CDR
from cdrs.without_driver import is_of_nobody
from charging_profiles.models import ProfileCommand
from flex.api import keys
from flex.api.models import ApiKey, Prepared, Use, Wish
from flex.models import FlexAgreement, FspAssignment, PreferenceCopy
from hub.models import Delivery, Erasure, StaleCopy
from hub.ocpi.datatypes import decode
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.masking import hint
from hub.ocpi.party import PartyId
from hub.record.models import Message
from sessions.models import Push, Session
from tests.flex.agreements import acts
from tests.hub.commands.calling import run
from tests.hub.console import rows
from tests.hub.console.rows import CONTRACT_ID, TOKEN_UID
from tests.hub.stored import bearer, cdr, token
from tokens.models import Token

pytestmark = pytest.mark.django_db
OTHER = bearer("FFFFFFFF", "DE-MSP-OTHER")
BESIDE = PartyId("DE", "OTH")


def erase(*more: str, uid: str = TOKEN_UID) -> dict:
    return json.loads(run("erase_driver", "--token-uid", uid, "--emsp", "de-msp", "--json", *more))


@pytest.fixture
def others() -> list:
    """What belongs to another driver, eMSP or token type of the same hub; it stays as it is."""
    return [
        token("FFFFFFFF", contract_id="DE-MSP-OTHER"),
        token(owner=BESIDE, contract_id="DE-OTH-1"),
        rows.session(50, "COMPLETED", cdr_token=OTHER),
        rows.session(51, "COMPLETED", cdr_token={**bearer(), "party_id": "OTH"}),
        # The uid stands in it, but not as the driver's.
        cdr("OTHERS", OTHER, remark=f"compare {TOKEN_UID}"),
    ]


@pytest.fixture
def scsp():
    return rows.platform("SCSP", ("NL", "SCS", "SCSP"))


@pytest.fixture
def driver(scsp) -> Session:
    """A driver of DE-MSP with everything that the hub keeps; the session has ended."""
    token()
    token(audience="NL-CPO")
    ended = rows.session(1, "COMPLETED")
    rows.preferences(ended, 5)
    rows.command(ended, scsp, scsp, "RESULT_ACCEPTED", timedelta(hours=1))
    rows.deliveries(ended, scsp)
    cdr("BILL")
    FlexAgreement.objects.create(
        fsp_country_code="NL",
        fsp_party_id="SCS",
        emsp_country_code="DE",
        emsp_party_id="MSP",
        token_uid=TOKEN_UID.lower(),
        said_by="EMSP",
        consent_by="EMSP",
        consented_at=timezone.now(),
    )
    of_token = {"country_code": "DE", "party_id": "MSP", "token_uid": TOKEN_UID}
    later = timezone.now() + timedelta(hours=1)
    Prepared.objects.create(**of_token, document=b"{}", expires_at=later)
    Wish.objects.create(session=ended, wishes={"target_soc": 80})
    back_end = keys.of_party(PartyId("DE", "MSP"), [Use.EMSP], name="", made_by="a test").key
    ApiKey.objects.create(
        **of_token, kind="DRIVER", minted_by=back_end, expires_at=later, digest=b"1", prefix="1"
    )
    return ended


def texts() -> str:
    """Every row of every table, byte columns as text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                found += [
                    bytes(value).decode("utf-8", "replace")
                    if isinstance(value, bytes | memoryview)
                    else str(value)
                    for value in row
                ]
    return "\n".join(found).upper()


def test_nothing_that_names_the_driver_is_left(driver, caplog):
    assert TOKEN_UID in texts()
    Delivery.objects.filter(state="WAITING").update(state="DELIVERED")
    with caplog.at_level(logging.DEBUG):
        told = erase("--yes")
    assert told == {
        "dry_run": False,
        "erased": {
            "recorded bodies": 0,
            "deliveries": 5,
            "profile commands": 1,
            "preferences": 1,
            "sessions": 1,
            "CDRs": 1,
            "flexibility agreements": 1,
            "prepared preferences": 1,
            "keys of the driver": 1,
            "marks": 0,
            "tokens": 2,
        },
        "left": {},
    }
    assert TOKEN_UID not in texts()
    assert CONTRACT_ID not in texts()
    assert TOKEN_UID not in caplog.text


def test_a_session_that_goes_on_loses_the_fsp_that_it_had_by_the_token_alone(driver):
    running = rows.session(7)
    acts(PartyId("NL", "SCS"), running, "an agreement for the token")
    erase("--yes")
    former = FspAssignment.objects.get(session=running)
    assert former.end_reason == "the agreement for its token was erased"


def test_of_others_nothing_is_touched(driver, others):
    erase("--yes", "--delete-cdrs", "--with-running")
    for other in others:
        kept = type(other).objects.get(pk=other.pk)
        assert bytes(kept.document) == bytes(other.document)
    assert Cdr.objects.count() == 1


def test_uid_in_any_case_and_spelling(driver):
    escaped = cdr("ESCAPED")
    spelled = bytes(escaped.document).replace(
        TOKEN_UID.encode(), b"\\u0030" + TOKEN_UID[1:].encode()
    )
    Cdr.objects.filter(pk=escaped.pk).update(document=spelled)
    assert erase("--yes", uid=TOKEN_UID.lower())["erased"]["CDRs"] == 2


def test_a_cdr_stays_a_valid_bill_of_nobody_known(driver):
    before = msgspec.json.decode(bytes(Cdr.objects.get().document), type=dict[str, msgspec.Raw])
    erase("--yes")
    document = bytes(Cdr.objects.get().document)
    after = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    pseudonymous = decode(document, CDR)
    assert pseudonymous.cdr_token.uid.startswith("erased-")
    assert pseudonymous.cdr_token.contract_id.startswith("erased-")
    assert pseudonymous.cdr_token.uid != pseudonymous.cdr_token.contract_id
    assert (pseudonymous.cdr_token.party_id, pseudonymous.cdr_token.type) == ("MSP", "RFID")
    unchanged = before.keys() - {"cdr_token", "signed_data", "remark", "authorization_reference"}
    for name in unchanged:
        assert bytes(after[name]) == bytes(before[name]), name
    assert "total_cost" in unchanged


def test_one_driver_has_one_pseudonym_and_another_key_gives_another(driver, settings):
    cdr("SECOND")
    erase("--yes")
    of_first, of_second = (
        decode(bytes(one.document), CDR).cdr_token.uid for one in Cdr.objects.order_by("id")
    )
    assert of_first == of_second
    settings.ENCRYPTION_KEY = "another"
    third = cdr("THIRD")
    erase("--yes")
    third.refresh_from_db()
    assert decode(bytes(third.document), CDR).cdr_token.uid != of_first


def test_what_else_speaks_of_the_driver_in_a_bill():
    signed = {
        "encoding_method": "OCMF",
        "signed_values": [{"nature": "End", "plain_data": TOKEN_UID, "signed_data": "x"}],
    }
    at_home = cdr(
        "HOME",
        answer=b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z","status_message":"of '
        + TOKEN_UID.encode()
        + b'"}',
        home_charging_compensation=True,
        signed_data=signed,
        remark="for Ms Jansen",
        authorization_reference="AUTH-1",
        nltnm_driver={"cards": [TOKEN_UID.lower()], "count": msgspec.Raw(b"1.50")},
    )
    erase("--yes")
    at_home.refresh_from_db()
    document = bytes(at_home.document)
    bill = decode(document, CDR)
    assert (bill.signed_data, bill.remark, bill.authorization_reference) == (None, None, None)
    assert bill.cdr_location.address == bill.cdr_location.city == "erased"
    assert bill.cdr_location.coordinates.latitude == "0.00000"
    assert b'"count":1.50' in document
    for text in (TOKEN_UID, "JANSEN"):
        assert text not in texts()


def test_a_bill_that_is_sent_again_is_known_and_brings_nobody_back(driver):
    kept = Cdr.objects.get()
    body, answer = bytes(kept.document), bytes(kept.answer_body)
    erase("--yes")
    kept.refresh_from_db()
    assert kept.answer_again(body).body == answer
    assert kept.answer_again(body.replace(b": ", b":")).status == 201
    other = msgspec.json.decode(body) | {"total_energy": 99}
    with pytest.raises(InvalidParameters, match="another CDR of this id"):
        kept.answer_again(msgspec.json.encode(other))


def test_cdrs_deleted_on_demand(driver):
    assert erase("--yes", "--delete-cdrs")["erased"]["CDRs"] == 1
    assert not Cdr.objects.exists()
    assert Erasure.objects.get().are_cdrs_deleted


def test_a_dry_run_changes_nothing(driver):
    before = texts()
    told = erase("--dry-run")
    assert (told["dry_run"], told["erased"]["sessions"], told["erased"]["tokens"]) == (True, 1, 2)
    assert texts() == before


def test_repeating_finds_nothing_more(driver):
    erase("--yes")
    Delivery.objects.all().delete()
    again = erase("--yes")
    assert not any(again["erased"].values())
    assert Erasure.objects.count() == 2


def test_what_is_going_on_is_left_and_said(scsp):
    active = rows.session(1, "ACTIVE")
    busy = rows.session(2, "COMPLETED")
    rows.command(busy, scsp, scsp, "ACCEPTED", timedelta(seconds=5))
    rows.deliveries(active, scsp)
    told = erase("--yes")
    assert told["left"] == {"pushes on their way": 1, "running sessions": 2}
    assert told["erased"]["sessions"] == 0
    assert Delivery.objects.get().state == "WAITING"
    assert {one.pk for one in Session.objects.all()} == {active.pk, busy.pk}
    assert erase("--yes", "--with-running")["erased"]["sessions"] == 2
    assert not ProfileCommand.objects.exists()
    assert not PreferenceCopy.objects.exists()


def test_messages_of_a_session_go_by_their_order_though_they_name_nobody(driver, scsp):
    base = {"module": "sessions", "correlation_id": "c", "state": "DELIVERED", "receiver": scsp}
    keys = [f"session:{driver.pk} {driver.owner}", f"session:{driver.pk}:RECEIVER"]
    others = [f"session:{driver.pk}1 {driver.owner}", f"session:{driver.pk} NL-XXX"]
    for key in (*keys, *others):
        Delivery.objects.create(method="PUT", path="x", body=b"{}", ordering_key=key, **base)
    erase("--yes")
    left = Delivery.objects.exclude(state="WAITING").values_list("ordering_key", flat=True)
    assert set(left) == set(others)


def test_what_is_owed_of_the_token_is_owed_no_more(scsp):
    token().save()
    marked = {"receiver": scsp, "module": "tokens", "correlation_id": "c", "owner": "DE-MSP"}
    for variant, uid in (("RFID", TOKEN_UID), ("APP_USER", TOKEN_UID), ("RFID", f"{TOKEN_UID}0")):
        StaleCopy.objects.create(object_id=uid.upper(), variant=variant, **marked)
    assert erase("--yes", "--type", "rfid")["erased"]["marks"] == 1
    left = set(StaleCopy.objects.values_list("variant", "object_id"))
    assert left == {("APP_USER", TOKEN_UID.upper()), ("RFID", f"{TOKEN_UID}0".upper())}


def test_messages_that_name_the_token_go(scsp):
    body = bytes(token().document)
    base = {"module": "tokens", "correlation_id": "c", "state": "DELIVERED", "receiver": scsp}
    path = f"DE/MSP/{TOKEN_UID}"
    Delivery.objects.create(method="PUT", path=path, body=body, **base)
    Delivery.objects.create(method="PATCH", path=f"{path.lower()}?type=RFID", body=b"{}", **base)
    app_user = Delivery.objects.create(
        method="PATCH", path=f"{path}?type=APP_USER", body=b"{}", **base
    )
    other = Delivery.objects.create(method="PATCH", path=f"{path}0", body=b"{}", **base)
    assert erase("--yes", "--type", "rfid")["erased"]["deliveries"] == 2
    assert {one.pk for one in Delivery.objects.all()} == {app_user.pk, other.pk}


def test_recorded_bodies_are_emptied_and_the_messages_stay():
    session = rows.session(1, "COMPLETED")
    now = timezone.now()
    base = {"at": now, "is_failed": False, "milliseconds": 1, "request_bytes": 9, "answer_bytes": 9}
    for path, body in (
        (f"receiver/sessions/NL/CPO/{session.session_id}", "{}"),
        (f"receiver/tokens/DE/MSP/{hint(TOKEN_UID)}", "{}"),
        ("receiver/cdrs", f'{{"session_id":"{session.session_id}"}}'),
        ("receiver/locations/NL/CPO/1", "{}"),
        (f"receiver/sessions/NL/CPO/{session.session_id}", ""),
    ):
        Message.objects.create(path=path, request_body=body, **base)
    assert erase("--yes")["erased"]["recorded bodies"] == 3
    assert Message.objects.count() == 5
    assert Message.objects.exclude(request_body="").get().path == "receiver/locations/NL/CPO/1"


def test_of_one_type_only():
    token()
    token(type="APP_USER", audience="NL-CPO")
    assert erase("--yes", "--type", "APP_USER")["erased"]["tokens"] == 1
    assert Token.objects.get().type == "RFID"


def test_all_tokens_of_a_contract():
    token()
    token("OTHERCARD")
    token("FFFFFFFF", contract_id="DE-MSP-OTHER")
    rows.session(3, "COMPLETED", cdr_token=bearer("OTHERCARD"))
    told = erase("--yes", "--contract-id", CONTRACT_ID.lower())
    assert (told["erased"]["tokens"], told["erased"]["sessions"]) == (2, 1)
    assert Token.objects.get().object_id == "FFFFFFFF"


def test_the_audit_says_who_and_how_much_and_not_whose(driver, admin_client):
    erase("--yes")
    audit = Erasure.objects.get()
    assert audit.erased_by
    assert audit.counts["tokens"] == 2
    assert len(audit.token_hash) == 64
    html = admin_client.get(reverse("admin:hub_erasure_changelist")).content.decode()
    assert "2 tokens" in html
    assert TOKEN_UID not in html


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--json"], "add --yes or --dry-run"),
        (["--yes", "--contract-id", "x" * 37], "1 to 36 characters"),
        (["--yes", "--type", "CARD"], "invalid choice"),
    ],
)
def test_what_makes_no_sense_is_refused(driver, arguments, reason):
    with pytest.raises(CommandError, match=reason):
        run("erase_driver", "--token-uid", TOKEN_UID, "--emsp", "DE-MSP", *arguments)
    assert not Erasure.objects.exists()


@pytest.mark.parametrize(("answer", "gone"), [("no\n", False), ("yes\n", True)])
def test_it_asks_first(driver, monkeypatch, answer, gone):
    monkeypatch.setattr("sys.stdin", StringIO(answer))
    asked = ["erase_driver", "--token-uid", TOKEN_UID, "--emsp", "DE-MSP"]
    if gone:
        run(*asked)
    else:
        with pytest.raises(CommandError, match="Nothing is erased"):
            run(*asked)
    assert Token.objects.exists() is not gone


def test_in_words_it_says_what_is_out_of_reach(driver):
    told = run("erase_driver", "--token-uid", TOKEN_UID, "--emsp", "DE-MSP", "--yes")
    assert "kept under a pseudonym" in told
    assert "left: run this again" in told
    assert "backups" in told


ODD_TOKENS = {
    "no contract": {"contract_id": None},
    "no type": {"type": 5},
    "party only": {"country_code": "DE", "party_id": "MSP", "type": "rfid", "contract_id": ""},
    "blank": {"uid": f" {TOKEN_UID} "},
}


@pytest.mark.parametrize("name", ODD_TOKENS)
def test_a_driver_is_found_however_sessions_and_bills_are_spelled(driver, name):
    odd = bearer() | ODD_TOKENS[name]
    rows.session(2, "COMPLETED", cdr_token=odd, kwh="much", last_updated="yesterday")
    cdr("ODD", odd, total_cost=4, x_card=[TOKEN_UID], cdr_location="at home")
    told = erase("--yes")
    assert (told["erased"]["sessions"], told["erased"]["CDRs"]) == (2, 2)
    for kept in Cdr.objects.all():
        assert TOKEN_UID.encode() not in bytes(kept.document)
        assert CONTRACT_ID.encode() not in bytes(kept.document)
        assert is_of_nobody(bytes(kept.document))


@pytest.mark.parametrize("token", [[bearer()], TOKEN_UID])
def test_a_token_that_is_no_object_is_found_too(driver, token):
    cdr("ODD", token, home_charging_compensation="true", cdr_location=["at home"])
    assert erase("--yes")["erased"]["CDRs"] == 2
    document = bytes(Cdr.objects.get(object_id="ODD").document)
    assert TOKEN_UID.encode() not in document
    assert b"at home" not in document


def test_a_number_for_a_uid_is_the_drivers_all_the_same(driver):
    token = bearer() | {"uid": 4711, "contract_id": None}
    rows.session(2, "COMPLETED", cdr_token=token)
    cdr("NUMBER", token, x_card=4711, x_other=47110)
    told = erase("--yes", uid="4711")
    assert (told["erased"]["sessions"], told["erased"]["CDRs"]) == (1, 1)
    document = msgspec.json.decode(bytes(Cdr.objects.get(object_id="NUMBER").document))
    assert document["x_other"] == 47110
    assert document["x_card"] == document["cdr_token"]["uid"] != 4711


def test_a_session_whose_token_was_taken_back_is_found_by_what_was_known(driver):
    session = rows.session(2, "COMPLETED")
    body = b'{"cdr_token":null,"last_updated":"2099-01-01T00:00:00Z"}'
    Session.patch(Push(session.owner, session.session_id, body, session.emsp))
    assert TOKEN_UID.encode() not in bytes(Session.objects.get(pk=session.pk).document)
    assert erase("--yes")["erased"]["sessions"] == 2
