"""Locations on a map that is drawn here: borders that are shipped, and no tiles of others.

mod_locations, Location object: `coordinates`, and the status of its EVSEs. What is drawn comes from
the Outline of each Location (locations/outlines.py). Up to MOST_POINTS stand for themselves, more
are counted in fields.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin
from django.db.models import Avg, Count, F, Max, Min, Q, QuerySet
from django.db.models.functions import Floor
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from hub.console import borders
from hub.console.access import scope
from hub.console.borders import Point, on_plane
from hub.store.pushed import EVERYBODY
from locations import outlines
from locations.models import Outline, StateOfEvses

MOST_POINTS: Final = 2_000
# Of the table below the map.
MOST_ROWS: Final = 50
COLUMNS, ROWS = 18, 12
# Width by height, of the page's picture.
_ASPECT: Final = 1.5
# Where no Location is: Europe.
_EUROPE: Final = (-11.0, 35.0, 30.0, 62.0)
_LEAST_SPAN: Final = 0.02  # degrees
# Of what is seen at first.
_LEAST_SEEN: Final = 4.0
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class View:
    """What is seen: a part of the plane of `borders`."""

    first: Point
    width: float

    @property
    def height(self) -> float:
        """By the form of the picture."""
        return self.width / _ASPECT

    @property
    def box(self) -> Box:
        """West, south, east and north, in degrees."""
        bottom = borders.latitude_of(self.first.y + self.height)
        return self.first.x, bottom, self.first.x + self.width, borders.latitude_of(self.first.y)

    @property
    def view_box(self) -> str:
        """As SVG has it."""
        return f"{self.first.x:.4f} {self.first.y:.4f} {self.width:.4f} {self.height:.4f}"

    def style(self, longitude: float, latitude: float) -> str:
        """Where a point stands, in percent of the picture."""
        x, y = on_plane(longitude, latitude)
        left, top = (x - self.first.x) / self.width, (y - self.first.y) / self.height
        return f"left:{100 * left:.2f}%;top:{100 * top:.2f}%"

    def moved(self, right: float, down: float, by: float = 1) -> "View":
        """By parts of itself; `by` times as wide, around its middle."""
        width = min(max(self.width * by, _LEAST_SPAN), 360.0)
        x = self.first.x + self.width * right + (self.width - width) / 2
        y = self.first.y + self.height * down + (self.height - width / _ASPECT) / 2
        return View(Point(max(-180.0, min(x, 180.0 - width)), y), width)


def around(box: Box) -> View:
    """With room at its edges, in the form of the picture."""
    west, south, east, north = box
    start, end = on_plane(west, north), on_plane(east, south)
    width = max(end.x - start.x, (end.y - start.y) * _ASPECT, _LEAST_SPAN) * 1.06
    middle = Point((start.x + end.x) / 2, (start.y + end.y) / 2)
    return View(Point(middle.x - width / 2, middle.y - width / _ASPECT / 2), width)


def page(request: HttpRequest) -> HttpResponse:
    """`?owner=NL-CPO` those of one CPO; `?box=` west, south, east and north of what is seen."""
    scope.check(request.user, "ocpi_locations.view_location")
    is_behind = outlines.catch_up()
    owner = request.GET.get("owner", "").strip().upper()[:6]
    placed = Outline.objects.filter(location__audience=EVERYBODY)
    if owner:
        placed = placed.filter(location__owner=owner)
    view = around(_asked(request.GET.get("box", "")) or _extent(placed))
    seen = placed.filter(_within(view.box))
    number = seen[: MOST_POINTS + 1].count()
    points = list(_points(seen, view) if number <= MOST_POINTS else _fields(seen, view, owner))
    context = {
        **admin.site.each_context(request),
        "title": "Map of Locations",
        "owner": owner,
        "is_behind": is_behind,
        "view": view,
        "shapes": _shapes(view),
        "points": points,
        "rows": points[:MOST_ROWS],
        "is_counted": number > MOST_POINTS,
        "most": f"{MOST_POINTS:,}",
        "states": _states(placed),
        "without": placed.filter(latitude=None).count(),
        "moves": list(_moves(view, owner)),
        "list": _url("admin:ocpi_locations_location_changelist", owner=owner),
    }
    return TemplateResponse(request, "console/map.html", context)


def _url(name: str, **chosen: str) -> str:
    asked = urlencode({key: value for key, value in chosen.items() if value})
    return f"{reverse(name)}?{asked}" if asked else reverse(name)


def _asked(text: str) -> Box | None:
    """None for what is no part of the earth."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        return None
    held = (max(west, -180.0), max(south, -85.0), min(east, 180.0), min(north, 85.0))
    is_right = all(map(math.isfinite, (west, south, east, north)))
    return held if is_right and held[0] < held[2] and held[1] < held[3] else None


def _extent(placed: QuerySet[Outline]) -> Box:
    found = placed.filter(longitude__isnull=False).aggregate(
        *(Min("longitude"), Min("latitude"), Max("longitude"), Max("latitude"))
    )
    west, south = found["longitude__min"], found["latitude__min"]
    if west is None:
        return _EUROPE
    east, north = found["longitude__max"], found["latitude__max"]
    # A few that stand together are shown with what is around them.
    room = max(_LEAST_SEEN - max(east - west, north - south), 0) / 2
    return west - room, south - room, east + room, north + room


def _within(box: Box) -> Q:
    west, south, east, north = box
    return Q(longitude__range=(west, east), latitude__range=(south, north))


def _shapes(view: View) -> list[str]:
    """The paths of countries that are seen."""
    right, bottom = view.first.x + view.width, view.first.y + view.height
    return [
        one.path
        for one in borders.shapes()
        if one.first.x < right
        and one.last.x > view.first.x
        and one.first.y < bottom
        and one.last.y > view.first.y
    ]


def _points(seen: QuerySet[Outline], view: View) -> Iterator[dict[str, Any]]:
    """One for each Location."""
    rows = seen.order_by("location__owner", "location__object_id").values_list(
        *("location_id", "location__owner", "location__object_id", "longitude", "latitude"),
        *("state", "evses"),
    )
    for key, owner, name, longitude, latitude, state, evses in rows:
        yield {
            "style": view.style(longitude, latitude),
            "state": state.lower(),
            "url": reverse("admin:ocpi_locations_location_change", args=[key]),
            "name": f"{owner} {name}",
            "told": StateOfEvses(state).label,
            "evses": evses,
        }


def _fields(seen: QuerySet[Outline], view: View, owner: str) -> Iterator[dict[str, Any]]:
    """One for each field of the map with its Locations counted; it leads into the field."""
    west, south, east, north = view.box
    across, upwards = (east - west) / COLUMNS, (north - south) / ROWS
    counts = {state.value.lower(): Count("pk", filter=Q(state=state)) for state in StateOfEvses}
    rows: Iterable[Mapping[str, Any]] = (
        seen.annotate(
            column=Floor((F("longitude") - west) / across),
            row=Floor((F("latitude") - south) / upwards),
        )
        .values("column", "row")
        .annotate(number=Count("pk"), x=Avg("longitude"), y=Avg("latitude"), **counts)
        .order_by("-number", "column", "row")
    )
    for found in rows:
        left, bottom = west + across * found["column"], south + upwards * found["row"]
        box = f"{left:.4f},{bottom:.4f},{left + across:.4f},{bottom + upwards:.4f}"
        size = 1.5 + 0.5 * math.log10(found["number"])
        told = ", ".join(
            f"{found[state.value.lower()]:,} {state.label}"
            for state in StateOfEvses
            if found[state.value.lower()]
        )
        yield {
            "style": f"{view.style(found['x'], found['y'])};--size:{size:.2f}rem",
            "state": max(counts, key=lambda name: found[name]),
            "url": _url("locations-map", owner=owner, box=box),
            "name": f"{found['number']:,} around {found['y']:.2f}, {found['x']:.2f}",
            "number": _short(found["number"]),
            "told": told,
        }


def _short(number: int) -> str:
    return str(number) if number < 1000 else f"{number / 1000:.0f}k"


def _states(placed: QuerySet[Outline]) -> Iterable[tuple[str, str, str]]:
    """The legend: each state with its number of all Locations."""
    found = dict(placed.values_list("state").annotate(number=Count("pk")))
    return [(state.lower(), state.label, f"{found.get(state, 0):,}") for state in StateOfEvses]


def _moves(view: View, owner: str) -> Iterator[tuple[str, str, str]]:
    for sign, words, moved in (
        ("closer", "closer", view.moved(0, 0, 0.5)),
        ("farther", "farther", view.moved(0, 0, 2)),
        ("←", "to the west", view.moved(-0.4, 0)),
        ("→", "to the east", view.moved(0.4, 0)),
        ("↑", "to the north", view.moved(0, -0.4)),
        ("↓", "to the south", view.moved(0, 0.4)),
    ):
        # Its own room at the edges is not added again.
        inner = View(
            Point(moved.first.x + moved.width * 0.0283, moved.first.y + moved.height * 0.0283),
            moved.width / 1.06,
        )
        yield sign, words, _url("locations-map", owner=owner, box=_text(inner.box))
    yield "all", "all Locations", _url("locations-map", owner=owner)


def _text(box: Box) -> str:
    return ",".join(f"{value:.4f}" for value in box)
