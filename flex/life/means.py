"""By what a session is released at its CPO: DELETE, or a full-rate profile (mod_charging_profiles).

What a CPO was seen not to take is a row of its own (NotTaken), shown in the console.
"""

from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet

from charging_profiles import order
from charging_profiles.models import CommandState, ProfileCommand
from flex.full_rate import FullRate, FullRates
from flex.knowledge.profiles import Profile
from flex.life.models import HubCommand, LookedUntil, NotTaken, WhyNot
from hub.db import leases, sql
from hub.db.leases import NOW
from sessions.models import Session

# After that the hub tries again what a CPO did not take.
TRY_AGAIN: Final = timedelta(days=1)
_WITHOUT_EFFECT: Final = (
    *(CommandState.WAITING, CommandState.REFUSED, CommandState.SUPERSEDED),
    *(CommandState.RESULT_REJECTED, CommandState.UNREACHABLE),
)


class Means(NamedTuple):
    """A request that releases a session, without its response_url."""

    method: str
    body: dict[str, Any]


def of(row: HubCommand, rates: FullRates) -> Means | None:
    """What to send; None where everything was tried that can be."""
    refused = row.refused_means.split()
    full = rates.of(row.session)
    profile = full_profile(full, profile_before(row))
    usual = [Means("DELETE", {})] + ([] if profile is None else [Means("PUT", profile)])
    if full.is_share and profile is not None:
        # Without a profile the session would take what the site has not.
        usual = usual[1:]
    usual = [one for one in usual if one.method not in refused]
    taken = [one for one in usual if not is_not_taken(row.session, one.method)]
    return next(iter(taken or usual), None)


def full_profile(full: FullRate, former: Profile | None) -> dict[str, Any] | None:
    """A SetChargingProfile of one limit without an end, in the former one's unit where it is known.

    None where the full rate is not known.
    """
    unit_and_rate = full.best
    if former is not None and (rate := full.in_unit(former.unit)) is not None:
        unit_and_rate = former.unit, rate
    if unit_and_rate is None:
        return None
    unit, rate = unit_and_rate
    periods = [{"start_period": 0, "limit": float(rate)}]
    return {"charging_profile": {"charging_rate_unit": unit, "charging_profile_period": periods}}


def profile_before(row: HubCommand) -> Profile | None:
    """The profile that was in force when the release was wanted, as far as it is known."""
    sent = ProfileCommand.objects.filter(
        lane=order.lane_of(row.session.owner, row.session.session_id),
        method="PUT",
        purpose="",
        created_at__lte=row.asked_at,
    ).exclude(state__in=_WITHOUT_EFFECT)
    named = sent.filter(
        fsp_country_code__iexact=row.fsp_country_code, fsp_party_id__iexact=row.fsp_party_id
    )
    command = named.order_by("-pk").first() or sent.order_by("-pk").first()
    return None if command is None else Profile.read(bytes(command.body), command.created_at)


# --- What a CPO does not take ---------------------------------------------------------------------

_LEARN: Final = f"""
    INSERT INTO flex_life_nottaken AS known
        (country_code, party_id, evse_uid, method, why, first_at, last_at, times)
    VALUES (%s, %s, %s, %s, %s, {NOW}, {NOW}, 1)
    ON CONFLICT (country_code, party_id, evse_uid, method) DO UPDATE
    SET why = excluded.why, last_at = excluded.last_at, times = known.times + 1
"""  # noqa: S608 - names of ours


def learn(session: Session, method: str, why: WhyNot) -> None:
    """Note that a CPO does not take a method: what it ignores everywhere, what it says of an EVSE.

    "ChargingProfiles not supported by the EVSE" (ChargingProfileResponseType).
    """
    cpo, evse_uid = session.owner, session.evse_uid if why == WhyNot.NOT_SUPPORTED else ""
    sql.run(_LEARN, (cpo.country_code, cpo.party_id, evse_uid, method, why))


def is_not_taken(session: Session, method: str) -> bool:
    """Whether it was learned within a day, and no later command was accepted."""
    return _known(session, method).exists()


def ignores_delete(session: Session) -> bool:
    """Whether its CPO was seen within a day to accept a DELETE and keep the profile."""
    return _known(session, "DELETE").filter(why=WhyNot.IGNORED).exists()


def _known(session: Session, method: str) -> "QuerySet[NotTaken]":
    cpo = session.owner
    return NotTaken.objects.filter(
        country_code=cpo.country_code,
        party_id=cpo.party_id,
        evse_uid__in=("", session.evse_uid),
        method=method,
        last_at__gt=leases.now() - TRY_AGAIN,
    )


# How often it is looked whether something was accepted, and how long that may take to be told.
_LOOK_EVERY: Final = timedelta(seconds=30)
_TOLD_WITHIN: Final = "interval '2 minutes'"
_UNLEARN: Final = f"""
    DELETE FROM flex_life_nottaken AS known
    WHERE why = 'NOT_SUPPORTED' AND EXISTS (
        SELECT FROM {ProfileCommand._meta.db_table} AS command
        JOIN ocpi_sessions_session AS session ON session.id = command.session_id
        WHERE command.created_at > greatest(known.last_at, %s - {_TOLD_WITHIN})
          AND upper(command.cpo_country_code) = known.country_code
          AND upper(command.cpo_party_id) = known.party_id
          AND command.method = known.method AND session.evse_uid = known.evse_uid
          AND command.state IN ('ACCEPTED', 'RESULT_ACCEPTED', 'RESULT_UNKNOWN'))
"""  # noqa: S608 - names of ours


def unlearn() -> None:
    """Forget what an EVSE was seen not to support, and has accepted since."""
    if not NotTaken.objects.filter(why=WhyNot.NOT_SUPPORTED).exists():
        return
    now = leases.now()
    looked, _ = LookedUntil.objects.get_or_create(what="accepted", defaults={"until": now})
    if now - looked.until >= _LOOK_EVERY:
        sql.run(_UNLEARN, (looked.until,))
        LookedUntil.objects.filter(what="accepted").update(until=now)
