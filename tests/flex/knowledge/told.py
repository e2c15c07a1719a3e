"""Rows as they are when this was told of a session, for tests of what is known of it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from charging_profiles.models import ProfileCommand, ProfileUpdate
from sessions.models import Session
from tests.hub.console import rows

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes after the start."""
    return T0 + timedelta(minutes=minutes)


def text(minutes: float) -> str:
    return f"{at(minutes):%Y-%m-%dT%H:%M:%SZ}"


def period(minutes: float, **volumes: float) -> dict[str, Any]:
    dimensions = [{"type": name, "volume": volume} for name, volume in volumes.items()]
    return {"start_date_time": text(minutes), "dimensions": dimensions}


def profile(unit: str, *steps: tuple[int, float], **more: Any) -> dict[str, Any]:
    """From minutes and limits."""
    periods = [{"start_period": 60 * start, "limit": limit} for start, limit in steps]
    return {"charging_rate_unit": unit, "charging_profile_period": periods, **more}


class Told:
    """A session at NL-CPO whose FSP is NL-SCS, and what comes of it, minute by minute."""

    def __init__(self) -> None:
        self.cpo = rows.platform("CPO", ("NL", "CPO", "CPO"))
        self.fsp = rows.platform("SCS", ("NL", "SCS", "SCSP"))
        self.session = rows.session(1, start_date_time=text(0))

    def _command(self, minutes: float, state: str, **values: Any) -> ProfileCommand:
        made = rows.command(self.session, self.fsp, self.cpo, state, timedelta(0))
        moment = at(minutes)
        for name, value in {
            "created_at": moment,
            "sent_at": moment,
            "answered_at": moment,
            "result_at": moment,
            "correlation_id": f"at {minutes:g}",
            "key": f"key{made.pk}",
            **values,
        }.items():
            setattr(made, name, value)
        made.save()
        return made

    def puts(
        self, minutes: float, found: dict[str, Any], state: str = "RESULT_ACCEPTED", **values: Any
    ) -> ProfileCommand:
        """An FSP sets a profile that begins then."""
        body = {"charging_profile": {"start_date_time": text(minutes), **found}}
        return self._command(minutes, state, body=msgspec.json.encode(body), **values)

    def gets(self, minutes: float, found: dict[str, Any]) -> ProfileCommand:
        """Somebody asks, and the CPO tells."""
        told = {"start_date_time": text(minutes), "charging_profile": found}
        result = {"result": "ACCEPTED", "profile": told}
        return self._command(
            minutes,
            "RESULT_ACCEPTED",
            method="GET",
            result="ACCEPTED",
            result_body=msgspec.json.encode(result),
        )

    def tells(self, minutes: float, found: dict[str, Any]) -> None:
        """The CPO tells by itself."""
        told = {"start_date_time": text(minutes), "charging_profile": found}
        ProfileUpdate.objects.create(
            session=self.session,
            document=msgspec.json.encode(told),
            told_to="NL-SCS",
            correlation_id=f"told at {minutes:g}",
            received_at=at(minutes),
        )

    def meters(self, until: float, periods: Sequence[dict[str, Any]], **changes: Any) -> None:
        """The CPO pushes its charging periods."""
        document = msgspec.json.decode(bytes(self.session.document)) | changes
        document["charging_periods"] = list(periods)
        Session.objects.filter(pk=self.session.pk).update(
            document=msgspec.json.encode(document),
            status=document["status"],
            received_at=at(until),
        )
        self.session.refresh_from_db()
