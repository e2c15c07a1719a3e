"""What energy costs, or emits, step by step, and when that is known."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DAY: Final = 86_400
# Day-ahead prices of a local day are published about this time of the day before.
PUBLISHED: Final = time(13)


@dataclass(frozen=True)
class Series:
    """One value a step from `start` on (seconds of the epoch): EUR/kWh, or kg CO2 a kWh."""

    start: int
    step: int
    values: Array

    @classmethod
    def read(cls, file: Path) -> "Series":
        """A CSV of `start_utc,eur_per_mwh`, which may have more columns; steps of one length."""
        with file.open(newline="") as lines:
            rows = [(row["start_utc"], row["eur_per_mwh"]) for row in csv.DictReader(lines)]
        starts = [int(datetime.fromisoformat(start).timestamp()) for start, _ in rows]
        steps = set(np.diff(starts).tolist())
        if len(steps) != 1:
            raise ValueError(f"{file}: steps of {sorted(steps)} s")
        return cls(starts[0], steps.pop(), np.array([float(price) for _, price in rows]) / 1000)

    @property
    def end(self) -> int:
        """The first second that has no value of its own; the last value holds from there on."""
        return self.start + self.step * len(self.values)

    def edges(self, begin: int, end: int) -> list[int]:
        """`begin`, `end`, and where a step of the series ends between them."""
        first = begin - (begin - self.start) % self.step + self.step
        return [begin, *range(first, end, self.step), end]

    def at(self, seconds: Sequence[int] | NDArray[np.int64]) -> Array:
        """The values that hold at these seconds."""
        steps = (np.asarray(seconds) - self.start) // self.step
        values: Array = self.values[np.clip(steps, 0, len(self.values) - 1)]
        return values

    def means(self, edges: Sequence[int]) -> Array:
        """The mean value between each edge and the next."""
        own = np.arange(len(self.values) + 1) * self.step + self.start
        whole = np.concatenate(([0.0], np.cumsum(self.values * self.step)))
        at = np.asarray(edges, dtype=np.float64)
        before = np.minimum(at - self.start, 0.0) * self.values[0]
        after = np.maximum(at - self.end, 0.0) * self.values[-1]
        areas = np.interp(at, own, whole) + before + after
        means: Array = np.diff(areas) / np.maximum(1.0, np.diff(at))
        return means


@dataclass(frozen=True)
class DayAhead:
    """Prices of which those of a local day are known from 13:00 of the day before.

    Local days have 23 or 25 hours where the clock is changed; steps are counted in UTC.
    """

    series: Series
    zone: ZoneInfo

    def known_until(self, now: int) -> int:
        """The end of the last local day whose prices are published."""
        local = datetime.fromtimestamp(now, self.zone)
        days = 2 if local.time() >= PUBLISHED else 1
        midnight = datetime.combine(local.date() + timedelta(days=days), time(), self.zone)
        return int(midnight.timestamp())

    def published_after(self, now: int) -> int:
        """When the next prices come."""
        local = datetime.fromtimestamp(now, self.zone)
        days = 1 if local.time() >= PUBLISHED else 0
        at = datetime.combine(local.date() + timedelta(days=days), PUBLISHED, self.zone)
        return int(at.astimezone(UTC).timestamp())

    def seen_at(self, now: int, until: int) -> Series:
        """What an FSP has `now`: prices that are published, beyond them what is expected.

        Expected is the same hour of the last day that is known; without one, what is known last.
        """
        series, step = self.series, self.series.step
        first = max(0, (now - series.start) // step)
        last = max(first + 1, min(len(series.values), -(-(until - series.start) // step)))
        known = min(last, (self.known_until(now) - series.start) // step)
        steps = np.arange(first, last)
        days = np.maximum(0, (steps - known) * step // DAY + 1)
        steps = np.where(steps < known, steps, steps - days * (DAY // step))
        values = series.values[np.where(steps < 0, known - 1, steps)]
        return Series(series.start + first * step, step, values)
