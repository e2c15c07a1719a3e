"""A session as the flex API shows it: everything that the hub knows of it, put together on reading.

Nothing is kept for it: rows of the modules and of the flexibility layer are the truth.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec
from django.utils import timezone

from charging_profiles.models import CommandState, ProfileCommand
from charging_profiles.objects import ChargingProfilePeriod, ChargingRateUnit
from flex.api import prices, tariff_of
from flex.api.objects import (
    ActiveProfile,
    Anomaly,
    Assignment,
    Bound,
    CommandSpacing,
    Covered,
    CpoSaid,
    Effect,
    FspSession,
    Preferences,
    Prices,
    PriceStep,
    ProfileShown,
    PushedProfile,
    SiteOfSession,
    Wishes,
    Word,
)
from flex.api.wishes import wishes_of, wishes_of_all
from flex.api.words import of_preferences
from flex.facts import explain
from flex.knowledge import bounds, coverage, effect, facts
from flex.knowledge.bounds import LimitBound
from flex.knowledge.facts import Facts
from flex.knowledge.profiles import Profile
from flex.life import spacing
from flex.models import FspAssignment, PreferenceCopy
from flex.sites.models import Site
from hub.ocpi import heads, lenient
from hub.ocpi.party import PartyId
from sessions.models import Session

# Prices are shown until the departure, or for so long; and for no longer than this.
_USUAL: Final = timedelta(hours=24)
_LONGEST: Final = timedelta(hours=48)
_TAKEN: Final = (CommandState.ACCEPTED, CommandState.RESULT_ACCEPTED, CommandState.EXPIRED)


class _Head(msgspec.Struct):
    connector_id: Any = None
    start_date_time: Any = None
    kwh: Any = None


_read: Final = heads.reader(_Head)


class Shower:
    """Shows sessions to one flexibility provider; remembers what many of them have in common."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or timezone.now()
        self._steps: dict[tuple[str, str, datetime], list[prices.Step]] = {}
        self._spacings: dict[PartyId, list[CommandSpacing]] = {}

    def fsp_session(self, session: Session, assignment: FspAssignment) -> FspSession:
        """One session, with everything that its flexibility provider may know."""
        latest = latest_preferences(session)
        told = facts.of(session)
        known = bounds.of(session, told, viewer=assignment.fsp)
        return msgspec.structs.replace(
            brief(session, assignment, latest, wishes_of(session)),
            assignment=explained_assignment(session, assignment),
            prices=self.prices(session, latest),
            pushed=pushed(session),
            active=active_profile(told),
            effect=effect_of(session, told),
            bounds=[_bound(one) for one in known.bounds],
            anomalies=[
                Anomaly(sentence=one.sentence, observed_at=one.observed_at)
                for one in known.anomalies
            ],
            sites=[SiteOfSession(cpo=str(s.owner), name=s.name) for s in Site.around(session)],
            spacings=self._spacings_of(session.owner),
        )

    def _spacings_of(self, cpo: PartyId) -> list[CommandSpacing]:
        """What a CPO's TOO_OFTEN has taught."""
        if cpo not in self._spacings:
            self._spacings[cpo] = [
                CommandSpacing(
                    of=known.of,
                    within=known.within,
                    seconds=round(known.seconds, 1),
                    refused_at=known.refused_at,
                )
                for known in spacing.of_cpo(cpo)
            ]
        return self._spacings[cpo]

    def prices(self, session: Session, latest: PreferenceCopy | None) -> Prices:
        """From now until the departure, or for a day."""
        place = tariff_of.place_of(session)
        profile_type = latest.profile_type if latest else ""
        applying = tariff_of.applying(session, place, profile_type, self.now)
        tariff = applying.tariff
        if tariff is None:
            return Prices(unclear=[f"No price is known: {applying.why}."])
        departure = latest.departure_time if latest else None
        until = departure if departure and departure > self.now else self.now + _USUAL
        until = min(until, self.now + _LONGEST)
        head = _read(bytes(session.document))
        driven = prices.Driven(
            lenient.moment(head.start_date_time) or self.now,
            lenient.number(head.kwh) or Decimal(0),
        )
        key = (str(session.owner), tariff.id, until)
        steps = self._steps.get(key)
        if steps is None:
            steps = prices.steps(tariff, driven, place.zone, self.now, until)
            if prices.is_of_the_clock_alone(tariff):
                self._steps[key] = steps
        return Prices(
            currency=tariff.currency,
            tariff_id=tariff.id,
            steps=[_step(one) for one in steps],
            unclear=prices.unclear(tariff),
        )


def briefly(rows: Sequence[FspAssignment]) -> list[FspSession]:
    """Many sessions with what the driver wants; a query for each kind, whatever their number."""
    ids = [one.session_id for one in rows]
    latest = PreferenceCopy.objects.filter(session__in=ids)
    latest = latest.order_by("session", "-received_at", "-pk").distinct("session")
    asked = {one.session_id: one for one in latest}
    wished = wishes_of_all(ids)
    return [
        brief(one.session, one, asked.get(one.session_id), wished.get(one.session_id))
        for one in rows
    ]


def brief(
    session: Session,
    assignment: FspAssignment,
    latest: PreferenceCopy | None,
    wished: Wishes | None,
) -> FspSession:
    """What needs no look at anything else."""
    head = _read(bytes(session.document))
    return FspSession(
        country_code=session.owner.country_code,
        party_id=session.owner.party_id,
        session_id=session.session_id,
        emsp=str(session.emsp) if session.emsp_party_id else None,
        status=session.status,
        location_id=session.location_id or None,
        evse_uid=session.evse_uid or None,
        connector_id=heads.text(head.connector_id) or None,
        start_date_time=lenient.moment(head.start_date_time),
        kwh=lenient.number(head.kwh),
        last_updated=session.last_updated,
        assignment=shown_assignment(assignment),
        preferences=None if latest is None else shown_preferences(latest, session),
        wishes=wished,
    )


def _step(one: prices.Step) -> PriceStep:
    return PriceStep(
        start=one.start,
        per_kwh=one.per_kwh,
        vat=one.per_kwh_vat,
        per_hour=one.per_hour,
        why=one.why or None,
    )


def latest_preferences(session: Session) -> PreferenceCopy | None:
    """What the driver asked last."""
    return PreferenceCopy.objects.filter(session=session).order_by("-received_at", "-pk").first()


def shown_assignment(assignment: FspAssignment) -> Assignment:
    """Who it is, and why."""
    return Assignment(
        kind=assignment.acting,
        fsp=str(assignment.fsp) if assignment.fsp else None,
        epoch=assignment.epoch,
        why=assignment.reason,
        since=assignment.started_at,
    )


def explained_assignment(session: Session, assignment: FspAssignment) -> Assignment:
    """With all words that there are."""
    explained = explain(session)
    return msgspec.structs.replace(
        shown_assignment(assignment),
        words=[
            Word(fsp=one.fsp, reason=one.reason, why=one.why, is_taken=one.is_taken)
            for one in explained.considered
        ],
        delegates=[str(one) for one in explained.delegates],
    )


# --- What is known --------------------------------------------------------------------------------


def effect_of(session: Session, told: Facts) -> Effect | None:
    """Of the profile that was accepted last and has not been replaced."""
    found = effect.current(session, told)
    if found is None:
        return None
    return Effect(
        effect=found.verdict.effect,
        in_words=found.label,
        because=found.verdict.because,
        limited_by=found.verdict.limited_by or None,
        held_back_by=found.verdict.pause or None,
        fsp=found.fsp,
        accepted_at=found.accepted_at,
        correlation_id=found.correlation_id,
    )


def _bound(one: LimitBound) -> Bound:
    return Bound(
        quantity=one.quantity,
        kind=one.kind,
        value=one.value,
        unit=one.unit,
        phases=one.phases,
        source=one.source,
        message=one.message,
        observed_at=one.observed_at,
        valid_until=one.valid_until,
    )


def coverage_of(session: Session, now: datetime, viewer: PartyId) -> list[Covered]:
    """Each data object of the deliverable, as far as this party may know it."""
    return [
        Covered(
            id=one.object.id,
            name=one.object.name,
            group=one.object.group,
            known=one.known,
            value=one.value or None,
            unit=one.unit or None,
            path=one.path or None,
            message=one.message or None,
            told_at=one.told_at,
            age_seconds=one.age(now),
        )
        for one in coverage.of(session, viewer=viewer)
    ]


def shown_preferences(copy: PreferenceCopy, session: Session) -> Preferences:
    """With the CPO's answer in words."""
    return Preferences(
        profile_type=copy.profile_type or None,
        departure_time=copy.departure_time,
        energy_need=copy.energy_need,
        kwh_at_receipt=copy.kwh_at_receipt,
        discharge_allowed=copy.discharge_allowed,
        received_at=copy.received_at,
        cpo=cpo_said(copy, session),
    )


def cpo_said(copy: PreferenceCopy, session: Session) -> CpoSaid:
    """What the CPO has answered."""
    return CpoSaid(
        http_status=copy.cpo_http_status,
        status_code=copy.cpo_status_code,
        response=copy.cpo_answer or None,
        in_words=of_preferences(
            str(session.owner), copy.cpo_http_status, copy.cpo_status_code, copy.cpo_answer
        ),
    )


# --- Profiles -------------------------------------------------------------------------------------


def last_taken(session: Session) -> ProfileCommand | None:
    """The last PUT that the CPO has accepted; None where a DELETE has followed it."""
    taken = ProfileCommand.objects.filter(session=session, state__in=_TAKEN)
    last = taken.exclude(method="GET").order_by("-pk").first()
    return last if last is not None and last.method == "PUT" else None


def pushed(session: Session) -> PushedProfile | None:
    """The last profile that is not cleared."""
    command = last_taken(session)
    if command is None:
        return None
    profile = Profile.read(bytes(command.body), command.created_at)
    if profile is None:
        return None
    return PushedProfile(
        fsp=str(command.fsp),
        sent_at=command.created_at,
        state=command.state,
        correlation_id=command.correlation_id,
        profile=_profile(profile),
    )


def active_profile(told: Facts) -> ActiveProfile | None:
    """What the CPO told last, whoever asked."""
    seen = told.latest
    if seen is None:
        return None
    return ActiveProfile(
        source=seen.source,
        told_to=seen.by,
        observed_at=seen.observed_at,
        correlation_id=seen.correlation_id,
        profile=_profile(seen.profile),
    )


def _profile(profile: Profile) -> ProfileShown:
    return ProfileShown(
        unit=ChargingRateUnit(profile.unit),
        start=profile.start,
        duration=profile.duration,
        min_charging_rate=profile.minimum,
        periods=[
            ChargingProfilePeriod(start_period=offset, limit=limit)
            for offset, limit in profile.steps
        ],
    )
