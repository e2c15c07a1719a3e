"""The full rate under a site limit: each session's share of it, 0 or at least its minimum."""

from collections.abc import Sequence
from dataclasses import dataclass

from fsp.rates import NOTHING, one_decimal


@dataclass(frozen=True)
class Claim:
    """Of one session: its highest and lowest rate, what a unit of it takes of the limit.

    `served` is the part of its need that it has already; for equal ones the order decides.
    """

    maximum: float
    minimum: float
    load: float
    served: float = 0.0


def shares(limit: float, claims: Sequence[Claim]) -> list[float]:
    """Rates of which the sum takes no more than the limit; all get the same load where they can.

    Where the minimum rates of all do not fit, the least served pause, until those of the others do.
    What a session cannot use is left to the others.
    """
    rates = [0.0] * len(claims)
    order = sorted(range(len(claims)), key=lambda i: -claims[i].served)
    charging: list[int] = []
    left = limit
    for i in order:
        least = claims[i].minimum * claims[i].load
        if 0 < claims[i].maximum >= claims[i].minimum and least <= left + NOTHING:
            charging.append(i)
            left -= least
    level = _level(limit, [claims[i] for i in charging])
    for i in charging:
        claim = claims[i]
        rates[i] = one_decimal(max(claim.minimum, min(claim.maximum, level / claim.load)))
    return rates


def _level(limit: float, claims: list[Claim]) -> float:
    """The load that each gets which is neither at its minimum nor at its maximum."""
    low, high = 0.0, max((claim.maximum * claim.load for claim in claims), default=0.0)
    if sum(claim.maximum * claim.load for claim in claims) <= limit:
        return high
    for _ in range(60):
        middle = (low + high) / 2
        used = sum(max(c.minimum * c.load, min(c.maximum * c.load, middle)) for c in claims)
        low, high = (middle, high) if used <= limit else (low, middle)
    return low
