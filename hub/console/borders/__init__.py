"""Borders of countries as paths of SVG, in Mercator's projection. Shipped: see LICENSE beside."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

_FILE: Final = Path(__file__).with_name("borders.json")
# Beyond it, Mercator's projection is mostly ice.
MOST_NORTHERN: Final = 85.0


class Point(NamedTuple):
    """On the plane: degrees to the east, and downwards what Mercator makes of the latitude."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Shape:
    """A country: the `d` of its path, and between which points it lies."""

    name: str
    path: str
    first: Point
    last: Point


class _Borders(msgspec.Struct):
    arcs: list[list[int]]
    countries: list[tuple[str, list[list[int]]]]


def on_plane(longitude: float, latitude: float) -> Point:
    """Of degrees; a latitude beyond MOST_NORTHERN stands there."""
    held = max(-MOST_NORTHERN, min(MOST_NORTHERN, latitude))
    upwards = math.log(math.tan(math.pi / 4 + math.radians(held) / 2))
    return Point(longitude, -math.degrees(upwards))


def latitude_of(y: float) -> float:
    """The other way round."""
    return math.degrees(2 * math.atan(math.exp(math.radians(-y))) - math.pi / 2)


@cache
def shapes() -> tuple[Shape, ...]:
    """All of them: 80 KB are read once a process."""
    borders = msgspec.json.decode(_FILE.read_bytes(), type=_Borders)
    arcs = [list(_points(arc)) for arc in borders.arcs]
    return tuple(_shape(name, rings, arcs) for name, rings in borders.countries)


def _points(arc: list[int]) -> Iterator[Point]:
    longitude = latitude = 0
    for east, north in zip(arc[::2], arc[1::2], strict=True):
        longitude, latitude = longitude + east, latitude + north
        yield on_plane(longitude / 100, latitude / 100)


def _shape(name: str, rings: list[list[int]], arcs: list[list[Point]]) -> Shape:
    drawn = [[point for arc in ring for point in _arc(arc, arcs)] for ring in rings]
    path = "".join(f"M{' '.join(f'{x:.2f},{y:.2f}' for x, y in ring)}Z" for ring in drawn)
    xs, ys = zip(*(point for ring in drawn for point in ring), strict=True)
    return Shape(name, path, Point(min(xs), min(ys)), Point(max(xs), max(ys)))


def _arc(number: int, arcs: list[list[Point]]) -> list[Point]:
    return arcs[number] if number >= 0 else arcs[~number][::-1]
