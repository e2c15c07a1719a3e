"""Real figures behind the demo: when cars come, how long they stay, what they need, what it costs.

Arrivals: Sørensen et al. (2024), doi:10.5281/zenodo.13896176, CC BY 4.0; aggregated here: quartiles
of 3,851 home charging sessions in Norway of November and December 2019, by hour of plug-in.
Prices: Ember, European wholesale electricity price data, CC BY 4.0; the Netherlands, 2024-08-26.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

SOURCES: Final = (
    "Sørensen et al. (2024), doi:10.5281/zenodo.13896176, CC BY 4.0; "
    "Ember, European wholesale electricity price data, CC BY 4.0"
)

# Per hour of arrival: lower quartile, median, upper quartile of the stay in hours ..
STAY_HOURS: Final = (
    (9.1, 11.4, 13.7),
    (8.7, 11.1, 15.7),
    (11.1, 13.1, 15.2),
    (6.3, 9.4, 15.1),
    (6.0, 7.8, 13.0),
    (4.7, 12.3, 14.3),
    (4.6, 8.3, 11.5),
    (2.9, 4.8, 7.7),
    (1.8, 3.9, 6.5),
    (2.4, 4.7, 5.3),
    (2.4, 3.7, 5.2),
    (2.4, 3.4, 5.5),
    (2.0, 3.5, 6.6),
    (1.9, 3.6, 15.3),
    (2.3, 3.8, 16.5),
    (2.3, 6.4, 16.2),
    (2.0, 8.3, 15.6),
    (3.4, 14.1, 16.4),
    (3.8, 13.1, 16.2),
    (10.2, 12.2, 14.6),
    (10.5, 11.4, 13.5),
    (9.6, 10.5, 13.4),
    (8.8, 9.7, 12.4),
    (8.2, 10.7, 13.2),
)
# .. and of the energy in kWh.
ENERGY_KWH: Final = (
    (10.6, 15.2, 24.1),
    (10.3, 17.5, 21.0),
    (13.6, 17.9, 29.7),
    (8.1, 11.9, 19.7),
    (7.7, 10.5, 18.8),
    (5.2, 11.6, 31.2),
    (13.3, 16.0, 30.5),
    (5.8, 12.9, 18.0),
    (4.4, 9.5, 17.9),
    (5.5, 13.1, 31.5),
    (4.7, 9.4, 16.3),
    (5.1, 7.6, 11.9),
    (3.6, 6.2, 11.9),
    (3.9, 7.1, 11.2),
    (5.1, 7.7, 13.2),
    (5.1, 7.7, 12.6),
    (5.0, 8.1, 16.0),
    (5.5, 9.1, 16.8),
    (5.3, 8.7, 18.0),
    (5.8, 9.4, 17.4),
    (6.9, 11.0, 17.6),
    (7.0, 11.8, 18.1),
    (7.7, 13.9, 22.0),
    (7.8, 14.2, 22.3),
)
# EUR/MWh by hour of the day, UTC.
PRICE_DAY: Final = "2024-08-26"
EUR_PER_MWH: Final = (
    79.87,
    75.97,
    79.02,
    82.6,
    112.09,
    109.04,
    90.0,
    72.5,
    32.0,
    13.38,
    5.0,
    5.0,
    16.34,
    24.39,
    38.24,
    98.85,
    114.09,
    186.0,
    224.28,
    142.35,
    111.0,
    106.6,
    98.58,
    89.69,
)


@dataclass(frozen=True)
class Visit:
    """One car at a charge point."""

    stay: timedelta
    energy_kwh: float


@dataclass(frozen=True)
class Day:
    """The day of the figures, `shift` hours later than on the clock: 17:00 at 11:00 is 6.

    Without a shift a demo at noon would show what noon is like: nothing to gain by waiting.
    """

    shift: int = 0

    @classmethod
    def at(cls, hour: int, now: datetime) -> "Day":
        """The day on which it is `hour` now."""
        return cls((hour - now.astimezone(UTC).hour) % 24)

    def eur_per_kwh(self, at: datetime) -> float:
        """The energy price in the hour of that moment."""
        return EUR_PER_MWH[self._hour(at)] / 1000

    def eur_per_mwh_by_hour(self) -> list[float]:
        """The prices by the hour of the clock (UTC)."""
        return [EUR_PER_MWH[(hour + self.shift) % 24] for hour in range(24)]

    def visit(self, arrival: datetime, chance: random.Random) -> Visit:
        """A visit as they are at this hour; the shortest stays have nothing to shift."""
        hour = self._hour(arrival)
        return Visit(
            stay=timedelta(hours=chance.choice(STAY_HOURS[hour][1:])),
            energy_kwh=chance.choice(ENERGY_KWH[hour]),
        )

    def _hour(self, at: datetime) -> int:
        return (at.astimezone(UTC).hour + self.shift) % 24


REAL_DAY: Final = Day()


def next_hour(at: datetime) -> datetime:
    """When the price changes next."""
    return at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
