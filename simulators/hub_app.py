"""What the hub's flex API knows of a driver's sessions, for the driver's page (SCALE D2.3, 11.1).

The eMSP's back-end asks with its key; without one the page shows what OCPI tells alone.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp
import msgspec

logger = logging.getLogger(__name__)
EVERY: Final = 3.0  # seconds
PATIENCE: Final = 20
# What each effect of a profile means to a driver.
EFFECTS: Final = {
    "LIMITED": "something else limits your car",
    "NOTHING": "the charge point does not follow the plan",
}


class _Period(msgspec.Struct):
    start_period: int
    limit: float


class _Profile(msgspec.Struct):
    unit: str
    start: datetime
    periods: list[_Period] = []


class _Plan(msgspec.Struct):
    fsp: str
    profile: _Profile


class _Step(msgspec.Struct):
    start: datetime
    per_kwh: float | None = None


class _Prices(msgspec.Struct):
    currency: str | None = None
    steps: list[_Step] = []


class _Saving(msgspec.Struct):
    currency: str | None = None
    amount: float | None = None


class _Effect(msgspec.Struct):
    effect: str


class _Session(msgspec.Struct):
    session_id: str
    plan: _Plan | None = None
    prices: _Prices | None = None
    saving: _Saving | None = None
    effect: _Effect | None = None


class _Page(msgspec.Struct):
    sessions: list[_Session]


class HubApp:
    """`url` ends in /flex/v1; `key` is one of the eMSP's back-end."""

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url}/emsp/sessions"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._known: dict[str, _Session] = {}

    async def follow(self) -> None:
        """Read all of it again and again, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(headers=self._headers, timeout=timeout) as http:
            while True:
                try:
                    async with http.get(self._url) as answer:
                        body = await answer.read()
                        answer.raise_for_status()
                    page = msgspec.json.decode(body, type=_Page)
                    self._known = {one.session_id.upper(): one for one in page.sessions}
                except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
                    logger.warning("flex API: %s", error or type(error).__name__)
                await asyncio.sleep(EVERY)

    def of(self, session_id: str, now: datetime) -> dict[str, Any]:
        """For the page: plan, prices, who plans, why it waits, what is saved, at its `now`."""
        one = self._known.get(session_id.upper())
        if one is None:
            return {}
        shown: dict[str, Any] = {}
        if one.plan is not None:
            steps = _steps(one.plan.profile)
            shown["plan"] = [{"at": _text(at), "limit": limit} for at, limit in steps]
            shown["unit"], shown["fsp"] = one.plan.profile.unit, one.plan.fsp
            shown["why"] = _why(steps, now)
        if one.prices is not None:
            known = [step for step in one.prices.steps if step.per_kwh is not None]
            shown["prices"] = [{"at": _text(step.start), "kwh": step.per_kwh} for step in known]
        if one.saving is not None and one.saving.amount is not None:
            shown["saving"] = one.saving.amount
        if one.effect is not None and one.effect.effect in EFFECTS:
            shown["trouble"] = EFFECTS[one.effect.effect]
        return shown


def _steps(profile: _Profile) -> list[tuple[datetime, float]]:
    return [(profile.start + timedelta(seconds=p.start_period), p.limit) for p in profile.periods]


def _why(steps: list[tuple[datetime, float]], now: datetime) -> str:
    """Why the car waits, as far as the plan says; empty where it does not wait."""
    held = [limit for at, limit in steps if at <= now]
    if not held or held[-1] > 0:
        return ""
    later = [at for at, limit in steps if at > now and limit > 0]
    return f"waits for a better hour, charges from {later[0]:%H:%M}" if later else "waits"


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
