"""What followed a command of unknown outcome is verified by a GET (docs/decisions/0028).

The CPO may carry out what it did not answer after what was sent next. So when the EVSE has said
what became of that, or too late to say it, the hub asks for the active profile; should it be one
that had not been answered, what followed it is sent once more. When it is too late for one without
an answer to come into force, the hub asks once more, for what was sent last by then. Nobody waits
for any of this: the sweep of each second takes one step after the other.
"""

import logging
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import msgspec
from django.db import models

from charging_profiles.models import UNSENT, CommandState, InForce, ProfileCommand, Purpose
from hub.db import leases, sql
from hub.db.one_by_one import each
from hub.ocpi import lenient

logger = logging.getLogger(__name__)
# The hub asks for so many seconds of profile.
DURATION: Final = 3600
DOUBTFUL: Final = (CommandState.TIMED_OUT, CommandState.UNREACHABLE, CommandState.NO_RESULT)
# A CPO may carry out what it did not answer for so long after the hub gave it up.
DOUBT: Final = timedelta(seconds=120)
# A GET that tells nothing is repeated after so long, a few times.
PAUSE: Final = timedelta(seconds=20)
MOST_ASKED: Final = 4
# Of these nothing has come into force.
_WITHOUT_EFFECT: Final = (*DOUBTFUL, CommandState.REFUSED, CommandState.SUPERSEDED)
_decode = msgspec.json.Decoder(float_hook=lenient.decimal).decode
_NOTHING: Final = """
    SELECT true WHERE NOT EXISTS (
        SELECT FROM ocpi_charging_profiles_profilecommand WHERE in_force IN ('DUE', 'ASKED'))
"""
Profile = tuple[str, tuple[tuple[Decimal, Decimal], ...]]


def advance() -> None:
    """Ask what is to be asked, and judge what has been answered."""
    if sql.run(_NOTHING):
        return
    due = ProfileCommand.objects.filter(in_force=InForce.DUE)
    due.filter(state__in=_WITHOUT_EFFECT).update(in_force="")
    each(due.filter(_has_ended()).exclude(_is_too_early(leases.now())), _ask_once)
    asked = ProfileCommand.objects.filter(_has_ended(), verifies__in_force=InForce.ASKED)
    each(asked.order_by("pk"), _judge)


def _is_too_early(now: datetime) -> models.Q:
    """It was verified, and is again when nothing may come into force after it any more."""
    doubtful = _doubtful(models.OuterRef("lane"), models.OuterRef("pk"))
    asked = ProfileCommand.objects.filter(verifies=models.OuterRef("pk"))
    just_now = models.Q(models.Exists(asked.filter(created_at__gt=now - PAUSE)))
    is_in_doubt = models.Q(models.Exists(doubtful.filter(answered_at__gt=now - DOUBT)))
    return models.Q(models.Exists(asked)) & (just_now | is_in_doubt)


def _doubtful(lane: Any, before: Any) -> "models.QuerySet[ProfileCommand]":
    """Those without an answer that may have come into force after a later command."""
    sent = ProfileCommand.objects.filter(lane=lane, pk__lt=before).exclude(method="GET")
    return sent.filter(sent_at__isnull=False, state__in=DOUBTFUL)


def _has_ended() -> models.Q:
    return models.Q(result_at__isnull=False) | ~models.Q(state__in=(*UNSENT, CommandState.ACCEPTED))


def _ask_once(follower: ProfileCommand) -> None:
    """Of the last that may be in force: what was sent since the first time is verified with it."""
    mine = ProfileCommand.objects.filter(pk=follower.pk, in_force=InForce.DUE)
    later = ProfileCommand.objects.filter(lane=follower.lane, pk__gte=follower.pk)
    later = later.exclude(method="GET").exclude(state__in=_WITHOUT_EFFECT)
    last = later.filter(sent_at__isnull=False).order_by("-pk").first() or follower
    if last.pk != follower.pk and not ProfileCommand.objects.filter(verifies=follower).exists():
        last = follower
    if not mine.update(in_force=InForce.ASKED if last.pk == follower.pk else InForce.UNCLEAR):
        return
    if last.pk != follower.pk:
        ProfileCommand.objects.filter(pk=last.pk).update(in_force=InForce.ASKED)
    _ask(last)


def _ask(follower: ProfileCommand) -> None:
    """Ask for the active profile on behalf of the FSP; only the hub gets the result."""
    asking = _copy(follower, method="GET", verifies=follower, purpose=Purpose.ASK)
    asking.path = asked_at(follower.path, follower.key, asking.result_url)
    asking.add()


def asked_at(path: str, key: str, result_url: str) -> str:
    """The URL of a GET, where that of a PUT or DELETE is known, with the endpoint's own query.

    `key` is in the response_url that a DELETE has there, as the last of its query.
    """
    base, _, query = path.partition("?")
    own = [part for part in query.split("&") if part and key not in part]
    return f"{base}?{'&'.join([*own, f'duration={DURATION}', f'response_url={quote(result_url)}'])}"


def _judge(asked: ProfileCommand) -> None:
    follower = asked.verifies
    if follower is None:
        return
    sent = ProfileCommand.objects.filter(lane=follower.lane).exclude(method="GET")
    if ProfileCommand.objects.filter(verifies=follower, pk__gt=asked.pk).exists():
        return  # It was asked once more since.
    doubtful = _doubtful(follower.lane, follower.pk)
    bodies = [bytes(body) for body in doubtful.order_by("-pk").values_list("body", flat=True)[:10]]
    found = outcome(bytes(asked.result_body), bytes(follower.body), bodies)
    late = doubtful.filter(answered_at__gt=asked.created_at - DOUBT)
    is_told = asked.result in {"ACCEPTED", "UNKNOWN"}
    times = ProfileCommand.objects.filter(verifies=follower).count()
    if found != InForce.OVERTAKEN and (late.exists() or not is_told) and times < MOST_ASKED:
        found = InForce.DUE
    mine = ProfileCommand.objects.filter(pk=follower.pk, in_force=InForce.ASKED)
    if not mine.update(in_force=found) or found != InForce.OVERTAKEN:
        return
    logger.warning(
        "at %s a profile is in force that had not been answered, correlation %s",
        follower.cpo,
        follower.correlation_id,
    )
    if not sent.filter(pk__gt=follower.pk).exists():
        _send_again(follower)


def _send_again(follower: ProfileCommand) -> None:
    again = _copy(follower, method=follower.method, purpose=Purpose.AGAIN)
    old, new = follower.key, again.key
    again.path = follower.path.replace(old, new)
    again.body = bytes(follower.body).replace(old.encode(), new.encode())
    again.add()


def _copy(command: ProfileCommand, **changes: Any) -> ProfileCommand:
    """A command for the same session on behalf of the same FSP; nobody is told its result."""
    same = (
        *("session_id", "session_id_sent", "lane", "fsp_platform_id", "fsp_country_code"),
        *("fsp_party_id", "cpo_platform_id", "cpo_country_code", "cpo_party_id", "epoch"),
        "correlation_id",
    )
    return ProfileCommand(**{name: getattr(command, name) for name in same}, **changes)


def outcome(result: bytes, sent: bytes, doubtful: list[bytes]) -> InForce:
    """Judge by the result of the GET, the body that was sent, and those without an answer."""
    active = profile_in(result, "profile", "charging_profile")
    if active is None:
        return InForce.UNCLEAR
    if active == profile_in(sent, "charging_profile"):
        return InForce.AS_SENT
    if active in [profile_in(body, "charging_profile") for body in doubtful]:
        return InForce.OVERTAKEN
    return InForce.UNCLEAR


def profile_in(body: bytes, *path: str) -> Profile | None:
    """The unit and limits of a profile, however it is spelled; None where it has none."""
    try:
        found: Any = _decode(body)
        for name in path:
            found = found[name]
        periods = found["charging_profile_period"]
        limits = tuple((Decimal(str(p["start_period"])), Decimal(str(p["limit"]))) for p in periods)
        return str(found["charging_rate_unit"]).upper(), limits
    except (msgspec.DecodeError, KeyError, TypeError, ArithmeticError, ValueError, RecursionError):
        return None
