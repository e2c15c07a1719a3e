"""Simulated sessions with a driven clock, as the hub would come to know them."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from charging_profiles.objects import (
    ChargingProfile,
    ChargingProfilePeriod,
    ChargingRateUnit,
    SetChargingProfile,
)
from flex.knowledge.active import Seen
from flex.knowledge.facts import Connector, Facts, SetProfile
from flex.knowledge.metering import periods_of
from flex.knowledge.profiles import Profile
from hub.ocpi.comparison import plain
from hub.ocpi.party import PartyId
from party.messages import to_json
from simulators import documents
from simulators.charging import Ev, Evse, Meter, Plug, one_decimal
from simulators.documents import Site

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)
INTERVAL = timedelta(minutes=15)
DELAY = timedelta(seconds=1)


@dataclass
class World:
    """A car at an EVSE, and what has been told of it up to `now`."""

    plug: Plug
    meter: Meter
    now: datetime = T0
    seen: list[Seen] = field(default_factory=list)
    puts: list[SetProfile] = field(default_factory=list)

    @classmethod
    def of(cls, evse: Evse, ev: Ev, share: float) -> "World":
        plug = Plug(evse, ev, T0, share)
        return cls(plug, Meter(T0))

    def runs(self, span: timedelta) -> None:
        """Time goes by; the CPO pushes a metering interval at its end."""
        self.now += span
        self.meter.advance(self.plug, self.now)
        self.meter.cut()

    def asks(self, duration: int = 4 * 3600) -> None:
        """Somebody GETs the active profile."""
        told = self.plug.active_profile(self.now, duration)
        profile = Profile.read(to_json(told), self.now)
        assert profile is not None
        asked_at = self.now
        self.now += DELAY
        self.seen.append(Seen(profile, "GET", "NL-SCS", "ask", self.now, asked_at))

    def sets(self, profile: ChargingProfile) -> None:
        """An FSP PUTs a profile, which is accepted."""
        sent_at = self.now
        self.now += DELAY
        self.meter.advance(self.plug, self.now)
        self.plug.set_profiles = [profile]
        body = to_json(SetChargingProfile(profile, "https://scsp.example/1"))
        if self.puts:
            last = self.puts[-1]
            named = {name: getattr(last, name) for name in SetProfile.__slots__}
            self.puts[-1] = SetProfile(**named | {"until": sent_at})
        self.puts.append(
            SetProfile(
                command=len(self.puts) + 1,
                profile=Profile.read(body, T0),
                fsp="NL-SCS",
                correlation_id="put",
                sent_at=sent_at,
                accepted_at=self.now,
                until=None,
                is_confirmed=True,
            )
        )
        self.now += DELAY

    def shares(self, amps: float) -> None:
        """The site gets another limit."""
        self.meter.advance(self.plug, self.now)
        self.plug.share_amps = amps

    @property
    def facts(self) -> Facts:
        """What the hub knows."""
        told = plain(to_json(documents.charging_periods(self.meter.periods, self.plug)))
        site = Site(evses=(self.plug.evse,))
        location = plain(to_json(documents.location(site, PartyId("NL", "CPO"), T0, set())))
        evse = location["evses"][0]
        first = self.puts[0].sent_at if self.puts else None
        earlier = [one for one in self.seen if first is None or one.observed_at < first]
        return Facts(
            now=self.now,
            started_at=T0,
            document={"id": "S1", "kwh": 1},
            metered=periods_of(told, self.now),
            received_at=self.now,
            seen=tuple(self.seen),
            baseline=earlier[-1] if earlier else None,
            set=tuple(self.puts),
            connector=Connector(evse["connectors"][0], evse, location, T0),
        )


def profile_of(unit: ChargingRateUnit, start: datetime, steps: list[tuple[int, float]]):
    """From seconds and limits."""
    periods = [ChargingProfilePeriod(at, one_decimal(limit)) for at, limit in steps]
    return ChargingProfile(
        charging_rate_unit=unit, start_date_time=start, charging_profile_period=periods
    )


def planned(world: World, rng: random.Random) -> ChargingProfile:
    """As a flexibility provider plans: 0 or at least the minimum; the full rate comes last."""
    unit, per_amp = world.plug.evse.unit, world.plug.watts_per_amp
    full = world.seen[-1].profile.highest if world.seen else 16
    scale = 1 if unit is ChargingRateUnit.A else per_amp
    highest = max(float(full), 6.0 * scale)
    steps, at = [], 0
    for _ in range(rng.randint(1, 5)):
        rate = rng.choice([0.0, highest, rng.uniform(6.0 * scale, highest)])
        steps.append((at, rate))
        at += rng.choice([900, 1800, 3600])
    steps.append((at, highest))
    return profile_of(unit, world.now, steps)
