"""Figures of a run: ratios with their spread, percentiles, and the table that shows them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """One line of the table; `met` is None where nothing was promised."""

    name: str
    value: str
    target: str = ""
    met: bool | None = None


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part of all does not exceed; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True)
class Ratio:
    """The median of the rounds' ratios, with the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, above: Sequence[float], below: Sequence[float]) -> "Ratio":
        """Round by round: what disturbs a round disturbs both sides of its ratio."""
        ratios = [a / b for a, b in zip(above, below, strict=True)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))

    def told(self, scale: float = 1, unit: str = "") -> str:
        """`1.38 (1.35 to 1.41)`."""
        digits = 1 if scale > 1 else 2
        values = (f"{scale * v:.{digits}f}{unit}" for v in (self.median, self.least, self.greatest))
        return "{} ({} to {})".format(*values)


def table(figures: Sequence[Measurement]) -> str:
    """For people, and as it stands in docs/performance.md."""
    rows = [("measured", "this run", "target", "")]
    words = {True: "met", False: "MISSED", None: ""}
    rows += [(f.name, f.value, f.target, words[f.met]) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
