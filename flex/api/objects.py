"""What the flex API takes and answers. Energies in kWh, moments in RFC 3339, limits as in OCPI."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from charging_profiles.objects import ChargingProfilePeriod, ChargingRateUnit
from hub.ocpi.datatypes import Number, ProfileType, TokenType

Moment = Annotated[str, msgspec.Meta(max_length=40, extra_json_schema={"format": "date-time"})]
SoC = Annotated[Number, msgspec.Meta(extra_json_schema={"minimum": 0, "maximum": 100})]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=36)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[\w.: -]+$")]


class Answer(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What is not known is left out."""


# --- Sessions -------------------------------------------------------------------------------------


class Preferences(Answer, kw_only=True):
    """The latest ChargingPreferences, and what the CPO said of them (mod_sessions)."""

    profile_type: str | None = None
    departure_time: datetime | None = None
    # As asked; it does not say "from start" or "from now": the kWh at receipt stand beside it.
    energy_need: Decimal | None = None
    kwh_at_receipt: Decimal | None = None
    discharge_allowed: bool | None = None
    received_at: datetime
    cpo: "CpoSaid"


class CpoSaid(Answer, kw_only=True):
    """The CPO's answer: as OCPI has it, and in words."""

    http_status: int
    status_code: int | None = None
    response: str | None = None
    in_words: str


class Wishes(Answer, kw_only=True):
    """Wishes for which OCPI has no field (SCALE D2.3, 11.1); told by the app."""

    min_soc: SoC | None = None
    target_soc: SoC | None = None
    max_soc: SoC | None = None
    priority_charging: bool | None = None
    # From 0, no matter, to 100, green at any price.
    green_level: SoC | None = None
    # The price of a kWh without VAT that the driver wants to be planned with.
    tariff_override: Number | None = None
    told_at: datetime | None = None


class PriceStep(Answer, kw_only=True):
    """What is paid from `start` on, for 15 minutes, without VAT; `why` it is not known."""

    start: datetime
    per_kwh: Decimal | None = None
    vat: Decimal | None = None
    per_hour: Decimal | None = None
    why: str | None = None


class Prices(Answer, kw_only=True):
    """The Tariff that applies, as a price per step; what no step can show is `unclear`."""

    currency: str | None = None
    tariff_id: str | None = None
    steps: list[PriceStep] = []
    unclear: list[str] = []


class ProfileShown(Answer, kw_only=True):
    """A charging profile; its periods are relative to `start`."""

    unit: ChargingRateUnit
    start: datetime
    duration: int | None = None
    min_charging_rate: Decimal | None = None
    periods: list[ChargingProfilePeriod]


class PushedProfile(Answer, kw_only=True):
    """The last profile that the CPO has accepted, and what has become of it."""

    fsp: str
    sent_at: datetime
    state: str
    correlation_id: str
    profile: ProfileShown


class ActiveProfile(Answer, kw_only=True):
    """The active profile as the CPO told it last: asked for (GET), or by itself (PUT)."""

    source: str
    told_to: str
    observed_at: datetime
    correlation_id: str
    profile: ProfileShown


class Word(Answer, kw_only=True):
    """One word on who is flexibility provider, and why it was taken or passed over."""

    fsp: str
    reason: str
    why: str
    is_taken: bool


class Assignment(Answer, kw_only=True):
    """Who is flexibility provider, and why; each change raises `epoch`.

    `words` are all there are, in the order of their weight; `delegates` act through the eMSP.
    """

    kind: str
    fsp: str | None = None
    epoch: int
    why: str
    since: datetime
    words: list[Word] = []
    delegates: list[str] = []


class FspWord(msgspec.Struct, kw_only=True):
    """Who is to be flexibility provider of a session: a party, or NONE, EMSP, CPO, EMS, EV."""

    who: Annotated[str, msgspec.Meta(min_length=2, max_length=10)]
    # Of an eMSP's word: whose consent it has, its own (EMSP) if nothing is said, or the DRIVER's.
    consent_by: Literal["EMSP", "DRIVER"] | None = None


class SessionName(Answer, kw_only=True):
    """Which session it is."""

    country_code: str
    party_id: str
    session_id: str


class SessionFsp(SessionName, kw_only=True):
    """Who is flexibility provider of a session now, and in words why."""

    in_words: str
    assignment: Assignment | None = None


class Bound(Answer, kw_only=True):
    """What limits EV, EVSE or site; A are of each phase, A_SUM of all phases together."""

    quantity: str
    kind: str
    value: Decimal
    unit: str
    phases: int | None = None
    source: str
    message: str
    observed_at: datetime
    valid_until: datetime | None = None


class Anomaly(Answer, kw_only=True):
    """Two things that were told contradict each other."""

    sentence: str
    observed_at: datetime


class Effect(Answer, kw_only=True):
    """What the profile that was accepted last has done, and how the hub knows."""

    effect: str
    in_words: str
    because: str
    limited_by: str | None = None
    held_back_by: str | None = None
    fsp: str
    accepted_at: datetime
    correlation_id: str


class Covered(Answer, kw_only=True):
    """A data object of SCALE D2.3: its value and where it was told, or why it is not known."""

    id: str
    name: str
    group: str
    known: str
    value: str | None = None
    unit: str | None = None
    path: str | None = None
    message: str | None = None
    told_at: datetime | None = None
    age_seconds: float | None = None


class SiteOfSession(Answer, kw_only=True):
    """A site that a session is in."""

    cpo: str
    name: str


class CommandSpacing(Answer, kw_only=True):
    """Seconds that the CPO wants between two commands, learned from TOO_OFTEN.

    `of` is GET or CHANGE (PUT and DELETE), `within` SESSION or CPO (over all of its sessions). It
    holds no command of yours back.
    """

    of: str
    within: str
    seconds: float
    refused_at: datetime


class FspSession(Answer, kw_only=True):
    """A session as its flexibility provider sees it; who the driver is, is not in it."""

    country_code: str
    party_id: str
    session_id: str
    emsp: str | None = None
    status: str
    location_id: str | None = None
    evse_uid: str | None = None
    connector_id: str | None = None
    start_date_time: datetime | None = None
    kwh: Decimal | None = None
    last_updated: datetime
    assignment: Assignment
    preferences: Preferences | None = None
    wishes: Wishes | None = None
    prices: Prices | None = None
    pushed: PushedProfile | None = None
    active: ActiveProfile | None = None
    effect: Effect | None = None
    bounds: list[Bound] = []
    anomalies: list[Anomaly] = []
    sites: list[SiteOfSession] = []
    spacings: list[CommandSpacing] = []


class FspSessions(Answer, kw_only=True):
    """A page of sessions in a lasting order, in brief; `after` is where the next one begins.

    Changes since this answer are read with `cursor`.
    """

    sessions: list[FspSession]
    after: int | None = None
    cursor: str


# --- Sites ----------------------------------------------------------------------------------------


class LimitPeriod(msgspec.Struct, kw_only=True):
    """A limit from `start` until the next one; null: none."""

    start: Moment
    limit: Number | None


class SiteLimits(msgspec.Struct, kw_only=True):
    """The limit of a site over time: W in all, or A of each phase. The last one lasts."""

    unit: ChargingRateUnit
    periods: list[LimitPeriod]


class Member(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A Location of a site, or one EVSE of it."""

    location_id: Id
    evse_uid: Id | None = None


class NewSite(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A site as its CPO wants it; limits that are left out stay as they were."""

    members: list[Member]
    rejects_breaches: bool = False
    limits: list[SiteLimits] | None = None


class Breach(Answer, kw_only=True):
    """The profiles in force ask for more than the limit: from when, how much of how much."""

    at: datetime
    unit: ChargingRateUnit
    limit: Decimal
    sum: Decimal
    since: datetime
    in_words: str


class Strangers(Answer, kw_only=True):
    """What sessions that others steer, or nobody, take of a site now, in W or A of each phase."""

    unit: ChargingRateUnit
    taken: Decimal
    sessions: int


class SiteShown(Answer, kw_only=True):
    """A site with its limits as they are now."""

    cpo: str
    name: str
    members: list[Member]
    rejects_breaches: bool
    limits: list[SiteLimits] = []
    breach: Breach | None = None
    # Of the flexibility provider that asks, or of all for its CPO.
    sessions: list[str] = []
    strangers: list[Strangers] = []


# --- Keys -----------------------------------------------------------------------------------------


class NewDriverKey(msgspec.Struct, kw_only=True):
    """For which token of yours, and for how many hours."""

    token_uid: Id
    token_type: TokenType = TokenType.RFID
    hours: Annotated[int, msgspec.Meta(ge=1)] = 8


class DriverKey(Answer, kw_only=True):
    """A driver's key; `key` is in the answer that makes it, and in no other."""

    id: str
    token_type: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    key: str | None = None


class Refusal(msgspec.Struct, kw_only=True):
    """Every refusal (RFC 9457); `code` stays, `detail` is for people."""

    title: str
    status: int
    code: str
    detail: str


# --- Changes --------------------------------------------------------------------------------------


class Line(Answer, kw_only=True):
    """A line of a session's journal."""

    topic: str
    reason: str
    detail: dict[str, Any] = {}
    at: datetime


class Change(Answer, kw_only=True):
    """A session of which something has changed: SESSION, or topics of its journal."""

    country_code: str
    party_id: str
    session_id: str
    topics: list[str]
    lines: list[Line]


class Changes(Answer, kw_only=True):
    """What has changed, oldest first; `cursor` is where the next answer begins."""

    changes: list[Change]
    cursor: str


# --- An eMSP's drivers ----------------------------------------------------------------------------


class WishedPreferences(msgspec.Struct, omit_defaults=True, kw_only=True):
    """ChargingPreferences (mod_sessions), and wishes beside them; energies in kWh."""

    profile_type: ProfileType
    departure_time: Moment | None = None
    energy_need: Number | None = None
    discharge_allowed: bool | None = None
    wishes: Wishes | None = None


class PreparedPreferences(WishedPreferences, omit_defaults=True, kw_only=True):
    """For the next session of a token, or for the one that a START_SESSION will begin."""

    token_uid: Id | None = None
    token_type: TokenType = TokenType.RFID
    authorization_reference: Id | None = None
    # Until then they wait; 24 hours from now where it is left out.
    expires_at: Moment | None = None


class PreferencesTold(Answer, kw_only=True):
    """What came of preferences that were sent to the CPO."""

    country_code: str
    party_id: str
    session_id: str
    correlation_id: str
    cpo: CpoSaid


class PreparedShown(Answer, kw_only=True):
    """Preferences that wait for their session, and what came of them."""

    id: int
    token_uid: str | None = None
    token_type: str | None = None
    authorization_reference: str | None = None
    state: str
    in_words: str
    preferences: dict[str, Any]
    wishes: Wishes | None = None
    created_at: datetime
    expires_at: datetime
    cpo: CpoSaid | None = None
    session: "SessionName | None" = None


class Progress(Answer, kw_only=True):
    """How far it is: of the energy that was asked for, and until the departure."""

    kwh: Decimal | None = None
    energy_need: Decimal | None = None
    percent: int | None = None
    departure_time: datetime | None = None
    status: str


class Cost(Answer, kw_only=True):
    """What it has cost until now, without VAT: as the CPO says, and by its Tariff."""

    currency: str | None = None
    told_by_cpo: Decimal | None = None
    by_tariff: Decimal | None = None
    unclear: str | None = None


class Saving(Answer, kw_only=True):
    """Against charging the same energy uncontrolled, at the full rate from the beginning.

    Of energy alone, without VAT; `why` it is not known.
    """

    currency: str | None = None
    amount: Decimal | None = None
    uncontrolled: Decimal | None = None
    controlled: Decimal | None = None
    how: str | None = None
    why: str | None = None


class EmspSession(Answer, kw_only=True):
    """A session as its driver's app shows it."""

    country_code: str
    party_id: str
    session_id: str
    status: str
    location_id: str | None = None
    evse_uid: str | None = None
    connector_id: str | None = None
    start_date_time: datetime | None = None
    last_updated: datetime
    assignment: Assignment | None = None
    preferences: Preferences | None = None
    wishes: Wishes | None = None
    plan: PushedProfile | None = None
    active: ActiveProfile | None = None
    effect: Effect | None = None
    progress: Progress
    prices: Prices | None = None
    cost: Cost
    saving: Saving


class EmspSessions(Answer, kw_only=True):
    """A page of sessions, the latest first; `before` is where the next one begins."""

    sessions: list[EmspSession]
    before: int | None = None
