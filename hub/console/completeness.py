"""What Locations do not tell that drivers ask for: per Location, and summed per CPO.

All of it is optional in OCPI (mod_locations, Location object); a National Access Point
(terminology, EV Charging Market Roles: "a national database with all (public) charging locations")
can pass on only what is told.
"""

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from hub.console.access import scope
from hub.store.pushed import EVERYBODY
from locations import outlines
from locations.models import Location

MOST_CPOS: Final = 500
# By the column of an Outline that says it is missing: its name, and what is asked.
GAPS: Final[Mapping[str, tuple[str, str]]] = {
    "lacks_opening_times": ("opening times", "When its EVSEs can be reached (opening_times)."),
    "lacks_energy_mix": ("energy mix", "What energy is supplied (energy_mix)."),
    "lacks_evses": ("EVSEs", "At least one that is not REMOVED (evses)."),
    "lacks_parking_restrictions": (
        "parking restrictions",
        "Of each EVSE, who may park there (parking_restrictions); an empty list says: anybody.",
    ),
    "lacks_power": (
        "power",
        "Of each Connector, max_electric_power; of AC its voltage and current will do.",
    ),
    "lacks_tariff_ids": ("tariff ids", "Of each Connector, by which Tariffs it charges."),
}


def missing(values: Mapping[str, Any]) -> list[str]:
    """The names of what is not told."""
    return [name for column, (name, _) in GAPS.items() if values[column]]


class MissingFilter(admin.SimpleListFilter):
    """Locations that lack one of them, or any."""

    title = "missing"
    parameter_name = "missing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Beside "All"."""
        named = [(column.removeprefix("lacks_"), name) for column, (name, _) in GAPS.items()]
        return [("anything", "anything"), ("nothing", "nothing"), *named]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        """By what was read of them; a value that is none of ours chooses nothing."""
        value = self.value()
        if value == "anything":
            return queryset.filter(_any())
        if value == "nothing":
            return queryset.filter(outline__isnull=False).exclude(_any())
        if f"lacks_{value}" in GAPS:
            return queryset.filter(**{f"outline__lacks_{value}": True})
        return None


def _any() -> Q:
    found = Q()
    for column in GAPS:
        found |= Q(**{f"outline__{column}": True})
    return found


def page(request: HttpRequest) -> HttpResponse:
    """One row a CPO, the one with most Locations first."""
    scope.check(request.user, "ocpi_locations.view_location")
    is_behind = outlines.catch_up()
    counts = {column: Count("pk", filter=Q(**{f"outline__{column}": True})) for column in GAPS}
    found = (
        Location.objects.filter(audience=EVERYBODY, outline__isnull=False)
        .values("owner")
        .annotate(number=Count("pk"), complete=Count("pk", filter=~_any()), **counts)
        .order_by("-number", "owner")[:MOST_CPOS]
    )
    context = {
        **admin.site.each_context(request),
        "title": "What Locations lack",
        "gaps": list(GAPS.values()),
        "rows": [_row(one) for one in found],
        "is_behind": is_behind,
        "most": MOST_CPOS,
    }
    return TemplateResponse(request, "console/completeness.html", context)


def _row(found: Mapping[str, Any]) -> dict[str, Any]:
    """Each number leads to the Locations that it counts."""
    listed, owner = reverse("admin:ocpi_locations_location_changelist"), found["owner"]

    def to(**chosen: str) -> str:
        return f"{listed}?{urlencode({'owner': owner, **chosen})}"

    return {
        "owner": owner,
        "number": f"{found['number']:,}",
        "url": to(),
        "whole": f"{100 * found['complete'] // found['number']}%",
        "cells": [
            (name, f"{found[column]:,}", to(missing=column.removeprefix("lacks_")))
            for column, (name, _) in GAPS.items()
        ],
    }
