"""What the console's tables share: read-only lists, typed columns and actions, badges.

django-unfold has no types; its decorators and classes meet ours here alone.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.contrib.admin.utils import get_fields_from_path
from django.db import models
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action as unfold_action
from unfold.decorators import display as unfold_display

from hub.console.access import scope

Column = TypeVar("Column", bound=Callable[..., Any])
Act = TypeVar("Act", bound=Callable[..., Any])

# Colours of badges, by unfold's names; what is not named here is grey.
GREEN, AMBER, RED, BLUE, GREY = "success", "warning", "danger", "info", "default"


def column(description: str, *, ordering: str | None = None) -> Callable[[Column], Column]:
    """A computed column or read-only field."""

    def decorate(function: Column) -> Column:
        decorated: Column = unfold_display(
            function, description=description, ordering=ordering, empty_value="-"
        )
        return decorated

    return decorate


def action(description: str, **options: Any) -> Callable[[Act], Act]:
    """A button; unfold's own options. With `dialog` it acts on POST alone."""

    def decorate(function: Act) -> Act:
        decorated: Act = unfold_action(function, description=description, **options)
        return decorated

    return decorate


def badge(text: str, colour: str = GREY, title: str = "") -> SafeString:
    """A word on a coloured ground."""
    context = {"text": text, "type": colour, "label_title": title}
    return render_to_string("unfold/helpers/label.html", context)


def ago(moment: datetime | None) -> SafeString | None:
    """How long ago, with the moment itself as the tooltip."""
    if moment is None:
        return None
    return render_to_string(
        "console/ago.html", {"moment": moment, "text": duration(timezone.now() - moment)}
    )


def duration(span: timedelta) -> str:
    """A span in its two largest units, as people say it."""
    seconds = max(span.total_seconds(), 0)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, unit, smaller_size, smaller in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = int(seconds % size // smaller_size)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{int(seconds)} s"


def span(begin: datetime | None, end: datetime | None) -> str | None:
    """The time between two moments, if both have come."""
    return duration(end - begin) if begin and end else None


def local(moment: datetime | None) -> str | None:
    """A moment in a list: the hub's zone is UTC."""
    return f"{moment:%d %b %H:%M:%S}" if moment else None


class OnlyItsFilters:
    """Of a list: the address narrows it by what its filters offer, and by nothing else.

    Django takes each column of the table, with prefixes and patterns: so a value that the page
    masks could be read out of the number of rows, character by character.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refused with 400 when not."""
        page: Any = self
        return lookup in {
            name
            for one in page.get_list_filter(request)
            for name in _lookups(page.model, one[0] if isinstance(one, tuple) else one)
        } | {"id", "id__exact", "pk", "pk__exact"}


def _lookups(model: type[models.Model], filter_: Any) -> set[str]:
    if not isinstance(filter_, str):
        return {filter_.parameter_name}
    found = {filter_, *(f"{filter_}__{how}" for how in ("exact", "isnull", "isempty"))}
    field = get_fields_from_path(model, filter_)[-1]
    if isinstance(field, models.DateField):
        found |= {f"{filter_}__{bound}" for bound in ("gte", "lt")}
    if field.is_relation:
        found |= {f"{filter_}__{name}__exact" for name in ("id", "pk")}
    return found


class ReadOnlyTable(OnlyItsFilters, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Rows that the hub itself writes: an operator looks, nobody edits."""

    list_per_page = 50
    list_filter_sheet = False
    show_full_result_count = False
    actions: Any = None

    def get_queryset(self, request: HttpRequest) -> Any:
        """Of a party's own staff: their rows alone."""
        return scope.rows(request.user, super().get_queryset(request))

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Choosing among other tables' rows would name those of others."""
        filters = super().get_list_filter(request)
        if scope.only(request.user) is None:
            return filters
        return [one for one in filters if not _is_of_others(self.model, one)]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _is_of_others(model: type[models.Model], filter_: Any) -> bool:
    if not isinstance(filter_, str):
        return False
    return "__" in filter_ or bool(model._meta.get_field(filter_).is_relation)


class ReadOnlyRows(TabularInline):  # type: ignore[misc]  # unfold has no types
    """Rows below another row, likewise."""

    extra = 0
    can_delete = False
    show_change_link = True
    hide_title = True

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever sees the row above."""
        return True

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
