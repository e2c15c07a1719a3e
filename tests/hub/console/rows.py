"""Rows as a busy hub has them: one of every kind and state that the console shows."""

from datetime import timedelta
from decimal import Decimal

import msgspec
from django.utils import timezone

from cdrs.models import Cdr
from charging_profiles.models import CommandState, ProfileCommand
from flex.api import keys
from flex.api.models import Prepared, Use
from flex.life.models import HubCommand, NotTaken, Spacing, Step
from flex.models import FlexAgreement, FlexExclusion, PreferenceCopy
from flex.sites import keeping
from flex.switching.models import CpoSlots, FspSwitch, SwitchStep
from hub.db import secret_box
from hub.models import (
    Agreement,
    Delivery,
    DeliveryState,
    Endpoint,
    Erasure,
    Party,
    Platform,
    PlatformHealth,
    StaleCopy,
)
from hub.monitoring.alerts.models import Alert, Notice, Rule, Target
from hub.ocpi.party import PartyId
from hub.outbound.platform_calls import Response
from locations.models import Location
from sessions.models import Push, Session
from tariffs.models import Tariff
from tests import minimal
from tests.flex.agreements import acts
from tokens.models import Token

TOKEN_UID = "04A2B3C4D5E680"
CONTRACT_ID = "DE-MSP-C12345678-X"
NOBODY_ANSWERS = "cpo.example:443 cannot be reached: connection refused."


def platform(name: str, *parties: tuple[str, str, str], status: str = "CONNECTED") -> Platform:
    """A registered platform with its parties."""
    now = timezone.now()
    made = Platform.objects.create(
        name=name,
        token_c_hash=secret_box.token_hash(f"token c of {name}"),
        token_b_encrypted=secret_box.encrypt(f"token b of {name}"),
        versions_url="https://party.example/ocpi/versions",
        registered_at=now - timedelta(days=3, hours=2),
    )
    for country_code, party_id, role in parties:
        Party.objects.create(
            platform=made,
            country_code=country_code,
            party_id=party_id,
            role=role,
            name=name,
            status=status,
            is_suspended=status == "SUSPENDED",
            business_details={"name": name},
        )
    for identifier, role in (
        ("credentials", "RECEIVER"),
        ("sessions", "SENDER"),
        ("sessions", "RECEIVER"),
        ("chargingprofiles", "RECEIVER"),
        ("hubclientinfo", "RECEIVER"),
    ):
        url = f"https://party.example/ocpi/2.2.1/{role.lower()}/{identifier}"
        Endpoint.objects.create(platform=made, identifier=identifier, role=role, url=url)
    PlatformHealth.objects.create(platform=made, last_heard_at=now - timedelta(seconds=42))
    return made


def token_a_hash_of(platform: Platform) -> bytes:
    """What is kept of the TOKEN_A that it was given."""
    platform.refresh_from_db()
    return bytes(platform.token_a_hash or b"")


def session(number: int, status: str = "ACTIVE", **changes: object) -> Session:
    """A session of NL-CPO with a driver of DE-MSP."""
    now = timezone.now()
    document = {
        "country_code": "NL",
        "party_id": "CPO",
        "id": f"S-{number:05}",
        "start_date_time": f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}",
        "kwh": 6.7 + number,
        "cdr_token": {
            "country_code": "DE",
            "party_id": "MSP",
            "uid": TOKEN_UID,
            "type": "RFID",
            "contract_id": CONTRACT_ID,
        },
        "auth_method": "WHITELIST",
        "location_id": f"LOC{number % 3}",
        "evse_uid": f"3257{number}",
        "connector_id": "1",
        "currency": "EUR",
        "charging_periods": [],
        "status": status,
        "last_updated": f"{now - timedelta(minutes=number):%Y-%m-%dT%H:%M:%SZ}",
        **changes,
    }
    owner, emsp = PartyId("NL", "CPO"), PartyId("DE", "MSP")
    body = msgspec.json.encode(document)
    kept = Session.put(Push(owner, f"S-{number:05}", body, emsp)).session
    assert kept is not None
    return kept


def preferences(of: Session, hours: int, answer: str = "ACCEPTED", **values: object) -> None:
    """What the driver asked, now."""
    leaves = timezone.now() + timedelta(hours=hours)
    document = {"profile_type": "CHEAP", "departure_time": f"{leaves:%Y-%m-%dT%H:%M:%SZ}"}
    PreferenceCopy.objects.create(
        session=of,
        document=msgspec.json.encode(document),
        profile_type="CHEAP",
        departure_time=leaves,
        energy_need=Decimal("22.5"),
        discharge_allowed=False,
        kwh_at_receipt=Decimal("6.7"),
        cpo_answer=answer,
        **{
            "cpo_http_status": 200,
            "cpo_status_code": 1000,
            "correlation_id": f"prefs-{of.pk}",
            **values,
        },
    )


def command(
    of: Session, fsp: Platform, cpo: Platform, state: str, age: timedelta, **values: object
) -> ProfileCommand:
    """A command in this state."""
    began = timezone.now() - age
    made = ProfileCommand(
        method="PUT",
        session=of,
        session_id_sent=of.session_id,
        fsp_platform=fsp,
        fsp_country_code="NL",
        fsp_party_id="SCS",
        cpo_platform=cpo,
        cpo_country_code="NL",
        cpo_party_id="CPO",
        epoch=1,
        path=f"https://cpo.example/ocpi/2.2.1/receiver/chargingprofiles/{of.session_id}",
        response_url="https://scsp.example/results/8f14e45f?secret=1",
        correlation_id=f"command-{state}",
        state=state,
        attempts=1,
        created_at=began,
        answer_by=began + timedelta(seconds=30),
    )
    url = f"https://hub.example/ocpi/2.2.1/profile-result/{made.key}"
    made.body = msgspec.json.encode(
        {
            "charging_profile": {
                "charging_rate_unit": "W",
                "charging_profile_period": [{"start_period": 0, "limit": 11000.0}],
            },
            "response_url": url,
        }
    )
    for name, value in values.items():
        setattr(made, name, value)
    made.save()
    return made


def commands(of: Session, fsp: Platform, cpo: Platform) -> None:
    """One in every state, and one whose result came late."""
    accepted = (
        b'{"data":{"result":"ACCEPTED","timeout":30},"status_code":1000,"timestamp":"2026-01-01"}'
    )
    refused = b'{"data":{"result":"TOO_OFTEN","timeout":0},"status_code":1000,"timestamp":"2026"}'
    for number, state in enumerate(CommandState.values):
        values: dict[str, object] = {}
        age = timedelta(minutes=2 * number, seconds=7)
        answered = timezone.now() - age + timedelta(milliseconds=180)
        if state in {"ACCEPTED", "EXPIRED"} or state.startswith("RESULT_"):
            values = {
                "answered_at": answered,
                "answer_body": accepted,
                "answer_http_status": 200,
                "passed_on_at": answered,
                "result_by": answered + timedelta(seconds=30),
            }
        if state.startswith("RESULT_"):
            result = state.removeprefix("RESULT_")
            values["result"] = result
            values["result_body"] = msgspec.json.encode({"result": result})
            values["result_at"] = answered + timedelta(seconds=2)
        if state == "REFUSED":
            values = {
                "answered_at": answered,
                "answer_body": refused,
                "answer_http_status": 200,
            }
        if state in {"UNREACHABLE", "TIMED_OUT"}:
            values = {"answered_at": answered, "problem": NOBODY_ANSWERS}
        command(of, fsp, cpo, state, age, **values)
    command(
        of,
        fsp,
        cpo,
        "EXPIRED",
        timedelta(minutes=31),
        method="GET",
        is_late=True,
        result="ACCEPTED",
        result_body=b'{"result":"ACCEPTED"}',
        body=b"",
    )


def deliveries(of: Session, receiver: Platform) -> None:
    """One in every state."""
    outcomes = {
        "DELIVERED": "HTTP 200, OCPI 1000",
        "REFUSED": "HTTP 200, OCPI 2003: Unknown Location",
        "FAILED": NOBODY_ANSWERS,
        "DROPPED": f"the receiver is OFFLINE: {NOBODY_ANSWERS}",
    }
    now = timezone.now()
    for number, state in enumerate(DeliveryState.values):
        Delivery.objects.create(
            receiver=receiver,
            ordering_key=f"session:{of.pk} {of.owner}",
            module="sessions",
            method="PUT",
            interface_role="RECEIVER",
            path=f"NL/CPO/{of.session_id}",
            body=bytes(of.document),
            from_country_code="NL",
            from_party_id="CPO",
            to_country_code="NL",
            to_party_id="SCS",
            correlation_id=f"delivery-{state}",
            state=state,
            attempts=3 if state == "FAILED" else 1,
            outcome=outcomes.get(state, ""),
            created_at=now - timedelta(minutes=3 * number, seconds=3),
            ended_at=None if state == "WAITING" else now - timedelta(minutes=3 * number),
        )


def stored(number: int = 0) -> None:
    """A Location, a Tariff, Tokens and CDRs; some for one party alone."""
    cpo, emsp, now = PartyId("NL", "CPO"), PartyId("DE", "MSP"), timezone.now()
    allowed = {"uid": TOKEN_UID, "type": "RFID"}
    place = minimal.location(cpo, f"LOC{number}", publish=False, publish_allowed_to=[allowed])
    Location.keep(_named(cpo, f"LOC{number}"), "", minimal.as_json(place), now)
    price = {"country_code": "NL", "party_id": "CPO", "id": "T", "currency": "EUR", "elements": []}
    Tariff.keep(_named(cpo, f"TARIFF{number}"), "DE-MSP", minimal.as_json(price), now)
    for kind, whitelist in (("RFID", "NEVER"), ("APP_USER", "ALWAYS")):
        card = minimal.token(
            emsp, TOKEN_UID, type=kind, whitelist=whitelist, contract_id=CONTRACT_ID
        )
        named = _named(emsp, f"{TOKEN_UID}{number or ''}") | {"type": kind}
        Token.keep(named, "", minimal.as_json(card), now)
    driver = {"cdr_token": card}
    for more in ({}, {"credit": True, "credit_reference_id": "CDR-0"}):
        bill = minimal.cdr(cpo, emsp, f"CDR-{number}{'-C' if more else ''}", **driver, **more)
        where = {"location": "https://emsp.example/cdrs/1?secret=1"}
        answer = Response(201, where, b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}')
        Cdr.taken(cpo, emsp, minimal.as_json(bill), answer)


def marks(receiver: Platform) -> None:
    """What waits for its party and what it has refused; a Token's uid among it."""
    now = timezone.now()
    refused: dict[str, object] = {"state": "REFUSED", "outcome": "HTTP 200, OCPI 2001: Invalid"}
    marked: tuple[tuple[str, str, str, dict[str, object]], ...] = (
        ("tokens", "DE-MSP", TOKEN_UID, {"variant": "RFID", "priority": 0}),
        ("locations", "NL-CPO", "LOC0", {"part": "3256\x1f1", "raised": 4, "merged": ["m1"]}),
        ("locations", "NL-CPO", "LOC1", refused),
        ("tokens", "DE-MSP", f"{TOKEN_UID}R", {"variant": "RFID", **refused}),
        ("tariffs", "NL-CPO", "T1", {"is_deleted": True}),
    )
    for number, (module, owner, name, values) in enumerate(marked):
        StaleCopy.objects.create(
            receiver=receiver,
            party="NL-SCS",
            module=module,
            owner=owner,
            object_id=name,
            spelling=f"{owner[:2]}/{owner[3:]}/{name}",
            correlation_id=f"mark-{number}",
            first_at=now - timedelta(minutes=7 + number),
            **values,
        )


def _named(owner: PartyId, object_id: str) -> dict[str, str]:
    return {"owner": str(owner), "object_id": object_id}


def fill() -> None:
    """Everything."""
    stored()
    cpo = platform("Volt Charging B.V.", ("NL", "CPO", "CPO"))
    platform("Autostrom GmbH", ("DE", "MSP", "EMSP"), ("DE", "AUT", "CPO"))
    scsp = platform("Slimladen", ("NL", "SCS", "SCSP"))
    away = platform("Bornes du Sud", ("FR", "BDS", "CPO"), status="OFFLINE")
    PlatformHealth.objects.filter(platform=away).update(
        last_heard_at=timezone.now() - timedelta(minutes=52),
        checked_at=timezone.now() - timedelta(seconds=20),
        problem=NOBODY_ANSWERS,
    )
    platform("Kaart en Route", ("BE", "NAV", "NSP"), status="SUSPENDED")
    uninvited = platform("Zonder Uitnodiging", ("NL", "ZUN", "EMSP"), status="PLANNED")
    uninvited.parties.update(admission="CLAIMED")
    invited = Platform(name="Nieuwkomer")
    invited.invite()
    invited.save()
    Party.objects.create(platform=invited, country_code="NL", party_id="NEW", role="CPO")
    Agreement.objects.create(
        country_code_a="DE",
        party_id_a="MSP",
        country_code_b="FR",
        party_id_b="BDS",
        is_open=False,
        note="contract ended on 1 March",
    )
    FlexAgreement.objects.create(
        fsp_country_code="NL", fsp_party_id="SCS", cpo_country_code="NL", cpo_party_id="CPO"
    )
    FlexExclusion.objects.create(cpo_country_code="FR", cpo_party_id="BDS")
    statuses = ("ACTIVE", "ACTIVE", "PENDING", "COMPLETED", "RESERVATION", "INVALID", "ACTIVE")
    for number, status in enumerate(statuses):
        kept = session(number, status)
        preferences(kept, 5)
        preferences(kept, 9, "" if number == 1 else "ACCEPTED", cpo_http_status=200 + 204 * number)
        acts(PartyId("NL", "SCS"), kept, "agreement 7")
    Erasure.objects.create(
        erased_by="operator",
        emsp="DE-MSP",
        token_hash=secret_box.keyed_hash("DE-MSP 1", "erased tokens"),
        are_cdrs_deleted=False,
        counts={"sessions": 3, "tokens": 1, "CDRs": 2},
        left={"running sessions": 1},
    )
    first = Session.objects.get(session_id="S-00000")
    commands(first, scsp, cpo)
    deliveries(first, scsp)
    marks(scsp)
    own_command(first, learned_of="CPO")
    switch(first, kept_by="CPO")
    flex_api(first, "Garage")
    alert("Bornes du Sud is OFFLINE since 09:12 UTC.")


def alert(summary: str) -> Alert:
    """One that goes on, of a rule and with a target of its own, which could not be told."""
    Rule.objects.all().delete()
    rule = Rule.objects.create(name="Party OFFLINE", kind="OFFLINE", limit=10)
    target = Target(name="Night shift", channel="WEBHOOK", problem="It answered with HTTP 500.")
    target.address = "https://shift.example/hooks?secret=1"
    target.save()
    made = Alert.objects.create(rule=rule, subject="platform 4", summary=summary)
    Notice.objects.create(alert=made, target=target, event="BEGAN", attempts=2)
    return made


def own_command(session: Session, *, learned_of: str) -> None:
    """A release of the hub's own that is not taken as it should, and what a CPO has taught."""
    now = timezone.now()
    HubCommand.objects.create(
        session=session,
        wish="RELEASE",
        why="the driver's departure time has come",
        fsp_country_code="NL",
        fsp_party_id="SCS",
        step=Step.VERIFYING,
        command=session.profile_commands.first(),
        is_told=True,
        since=now,
        due_at=now,
        asked_at=now,
    )
    cpo = {"country_code": "NL", "party_id": learned_of}
    Spacing.objects.create(
        **cpo, of="GET", within="SESSION", seconds=31.52, refused_at=now, looked_at=now
    )
    NotTaken.objects.create(**cpo, method="DELETE", why="IGNORED", first_at=now, last_at=now)


def switch(session: Session, *, kept_by: str) -> None:
    """A change of FSP that needs an operator, and what its CPO keeps."""
    now = timezone.now()
    changed = FspSwitch.objects.create(
        session=session,
        former="NL-OLD",
        new="NL-SCS",
        epoch=2,
        because="NL-OLD is suspended.",
        step="ATTENTION",
        why="The former limit still binds.",
        needs_attention=True,
        since=now,
        due_at=now,
        ended_at=now,
    )
    SwitchStep.objects.create(switch=changed, step="ATTENTION", why="It still binds.", at=now)
    CpoSlots.objects.create(
        country_code="NL", party_id=kept_by, told="PER_SENDER", one_seen=1, changed_at=now
    )


def flex_api(of: Session, name: str) -> None:
    """A key, a site with a limit that is broken, and preferences that wait for their session."""
    made = keys.of_party(of.emsp, [Use.EMSP], name=name, made_by="operator")
    Prepared.objects.create(
        country_code="DE",
        party_id="MSP",
        token_uid=TOKEN_UID,
        token_type="RFID",
        document=b'{"profile_type":"CHEAP"}',
        expires_at=timezone.now() + timedelta(hours=1),
        made_by=made.key.prefix,
        session=of,
    )
    site, _ = keeping.put(of.owner, name, [("LOC1", ""), ("LOC2", "3256")], rejects_breaches=True)
    period = {"start": "2026-03-01T00:00:00Z", "limit": 50_000.0}
    keeping.set_limits(site, "W", [period], told_by=str(of.owner))
    site.breach = {"in_words": "The profiles in force ask for 60000 W of 50000 W."}
    site.save()
