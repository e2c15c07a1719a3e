"""What is owed: by receiver and module, and each object of which a receiver's copy is stale.

Numbers are counted up to a limit and told as "10,000+" beyond it: the pages stay quick with a
million rows that wait.
"""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from hub.console.access import scope
from hub.console.dialogs import back, dialog
from hub.console.statuses import status_badge
from hub.console.tables import BLUE, RED, ReadOnlyTable, action, ago, badge, column
from hub.models import Platform, StaleCopy
from hub.models.stale_copies import CopyState
from hub.ocpi.modules import BROADCAST, SECRET_IDS
from hub.outbox import outbox, owed
from hub.parties import party_status

_MODULES: Final = (*sorted(BROADCAST), party_status.MODULE)
STATE_COLOURS: Final = {CopyState.WAITING: BLUE, CopyState.REFUSED: RED}


def state_badge(state: CopyState, what: str = "") -> SafeString:
    """Blue waits, red was refused."""
    return badge(f"{what}{state.value}", STATE_COLOURS[state], str(state.label))


# --- By receiver and module -----------------------------------------------------------------------


def page(request: HttpRequest) -> HttpResponse:
    """All receivers, or `?receiver=`; where something has waited longest comes first."""
    scope.check(request.user, "hub.view_stalecopy")
    asked = request.GET.get("receiver", "")
    receiver = int(asked) if asked.isdecimal() and len(asked) < 19 else None
    lanes = owed.lanes(receiver)
    platforms = Platform.objects.prefetch_related("parties").in_bulk(
        {lane.receiver_id for lane in lanes}
    )
    context = {
        **admin.site.each_context(request),
        "title": "What is owed",
        "rows": [_row(lane, platforms.get(lane.receiver_id)) for lane in lanes],
        "receiver": None if receiver is None else Platform.objects.filter(pk=receiver).first(),
        "most_lanes": owed.MOST_LANES if len(lanes) >= owed.MOST_LANES else 0,
        "most": f"{owed.MOST_COUNTED:,}",
        "most_refused": f"{owed.MOST_REFUSED:,}",
    }
    return TemplateResponse(request, "console/owed.html", context)


def _row(lane: owed.OwedLane, platform: Platform | None) -> dict[str, Any]:
    parties = [] if platform is None else platform.parties.all()
    copies, of = "admin:hub_stalecopy_changelist", lane.receiver_id
    return {
        "platform": platform,
        "receiver_id": lane.receiver_id,
        "status": mark_safe(" ".join(map(status_badge, sorted({p.status for p in parties})))),  # noqa: S308 - badges
        "module": lane.module,
        "objects": owed.as_text(lane.objects),
        # Of parties there are no rows for each receiver.
        "objects_url": reverse("admin:hub_party_changelist")
        if lane.module == party_status.MODULE
        else _listed(copies, of, state="WAITING", module=lane.module),
        "messages": owed.as_text(lane.messages),
        "messages_url": _listed(
            "admin:hub_delivery_changelist", of, state__exact="WAITING", module=lane.module
        ),
        "oldest": ago(lane.oldest),
        "refused": owed.as_text(lane.refused, owed.MOST_REFUSED),
        "refused_url": _listed(copies, of, state="REFUSED", module=lane.module),
        "refused_since": ago(lane.refused_since),
        "reason": lane.reason,
        "given_up": owed.as_text(lane.given_up),
        "given_up_url": _listed(
            "admin:hub_delivery_changelist", of, again="yes", module=lane.module
        ),
        "lane": lane,
    }


def _listed(name: str, receiver: int, **filters: str) -> str:
    return f"{reverse(name)}?{urlencode({**filters, 'receiver__id__exact': receiver})}"


def of_platform(platform: Platform) -> SafeString | None:
    """A line for each module, and where they lead."""
    lanes = owed.lanes(platform.pk)
    if not lanes:
        return None
    link = format_html(
        '<a href="{}?receiver={}">{}</a>', reverse("owed"), platform.pk, "What is owed"
    )
    lines = [(f"{lane.module}, {', '.join(_told(lane))}",) for lane in lanes]
    return format_html_join(mark_safe("<br>"), "{}", [*lines, (link,)])


def _told(lane: owed.OwedLane) -> Iterator[str]:
    if lane.objects:
        yield f"objects waiting: {owed.as_text(lane.objects)}"
    if lane.messages:
        yield f"messages waiting: {owed.as_text(lane.messages)}"
    if lane.refused:
        yield f"objects refused: {owed.as_text(lane.refused, owed.MOST_REFUSED)}"
    if lane.given_up:
        yield f"messages given up: {owed.as_text(lane.given_up)}"


# --- Object by object -----------------------------------------------------------------------------


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # Django's takes no parameter
    """Counts no further than somebody turns pages."""

    @cached_property
    def count(self) -> int:
        """At most so many, whatever there is."""
        first: Any = self.object_list[: owed.MOST_COUNTED]
        return int(first.count())


class ModuleFilter(admin.SimpleListFilter):
    """The modules that there can be: nobody looks through all rows for them."""

    title = "module"
    parameter_name = "module"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(module, module) for module in _MODULES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the chosen module."""
        return queryset.filter(module=self.value()) if self.value() else queryset


class StateFilter(admin.SimpleListFilter):
    """Both states, as the page of what is owed names them."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, str(state.label)) for state in CopyState]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows in the chosen state."""
        return queryset.filter(state=self.value()) if self.value() else queryset


_AGAIN_DIALOG: Final = dialog(
    "Tell the receiver once more?",
    "It has refused this object as it is now. It gets it again as it is when its turn comes.",
    "Try again",
)


@admin.register(StaleCopy)
class StaleCopyAdmin(ReadOnlyTable):
    """One row a receiver and part of an object; the first 10,000 that fit can be paged through."""

    list_display = (
        "object_",
        "part_",
        "receiver_",
        "state_",
        "raised",
        "since",
        "outcome",
    )
    list_filter = (StateFilter, ModuleFilter, "receiver")
    list_select_related = ("receiver",)
    paginator = CappedPaginator
    search_fields = ("object_id",)
    search_help_text = (
        "Id of an object, its owner, or the receiving party (NL-ABC). "
        f"At most {owed.MOST_COUNTED:,} rows are counted and shown."
    )
    ordering = ("id",)
    actions = ("try_selected_again",)
    actions_row = ("try_again",)
    actions_detail = ("try_again",)
    fieldsets = (
        (None, {"fields": ("object_", "part_", "receiver_", "state_", "outcome")}),
        ("Changes", {"fields": ("what", "raised", "first_at", "exchange_", "merged_")}),
    )
    readonly_fields = (
        *("object_", "part_", "receiver_", "state_", "raised", "what", "exchange_", "merged_"),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[StaleCopy], search_term: str
    ) -> tuple[QuerySet[StaleCopy], bool]:
        """Whole names, which are stored in upper case; a Token cannot be looked for by its uid."""
        term = search_term.strip().upper()
        if not term:
            return queryset, False
        named = Q(object_id=term) & ~Q(module__in=SECRET_IDS)
        return queryset.filter(named | Q(owner=term) | Q(party=term)), False

    @column("object")
    def object_(self, copy: StaleCopy) -> str:
        """Whose, and which; of a Token the end of its uid."""
        return f"{copy.module} {copy.owner} {copy.shown_id} {copy.variant}".rstrip()

    @column("part")
    def part_(self, copy: StaleCopy) -> str:
        """The whole object, an EVSE or a Connector."""
        return copy.shown_part or "whole"

    @column("receiver")
    def receiver_(self, copy: StaleCopy) -> str:
        """The party, where the module knows one, and its platform."""
        return f"{copy.party} ({copy.receiver})" if copy.party else str(copy.receiver)

    @column("state", ordering="state")
    def state_(self, copy: StaleCopy) -> SafeString:
        return state_badge(CopyState(copy.state))

    @column("since")
    def since(self, copy: StaleCopy) -> SafeString | None:
        """How long ago the first change came that was not told, or was refused."""
        return ago(copy.first_at)

    @column("what is sent")
    def what(self, copy: StaleCopy) -> str:
        """As far as it is known before its turn comes."""
        if copy.is_deleted:
            return "a DELETE, unless it is there again"
        if copy.patch is not None:
            return "the PATCH as it came, while it is the only change"
        return "a PUT of what it is when its turn comes"

    @column("newest exchange")
    def exchange_(self, copy: StaleCopy) -> SafeString:
        """Where the newest change can be looked at."""
        return _exchange(copy.correlation_id)

    @column("stands for these, too")
    def merged_(self, copy: StaleCopy) -> SafeString | None:
        """The exchanges of earlier changes."""
        links = ((_exchange(one),) for one in copy.merged)
        return format_html_join(mark_safe("<br>"), "{}", links) or None

    # --- Trying again -----------------------------------------------------------------------------

    def has_again_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Only for an object that was refused."""
        return request.user.has_perm("hub.change_platform") and (
            object_id is None
            or StaleCopy.objects.filter(pk=object_id, state=CopyState.REFUSED).exists()
        )

    @action("Try again", permissions=["again"], icon="replay", dialog=_AGAIN_DIALOG)
    def try_again(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        self._again(request, list(StaleCopy.objects.filter(pk=object_id)))
        return back(request, reverse("admin:hub_stalecopy_changelist"))

    @admin.action(description="Try again what was refused", permissions=["again"])
    def try_selected_again(self, request: HttpRequest, queryset: QuerySet[StaleCopy]) -> None:
        self._again(request, list(queryset.filter(state=CopyState.REFUSED)))

    def _again(self, request: HttpRequest, copies: list[StaleCopy]) -> None:
        number = outbox.try_again(copy.pk for copy in copies)
        for copy in copies:
            self.log_change(request, copy, "Tried again.")
        if number:
            messages.success(request, f"{number} wait once more: they are told as they are now.")
        else:
            messages.warning(request, "None of them is refused any more: nothing was changed.")


def _exchange(correlation_id: str) -> SafeString:
    return format_html(
        '<a href="{}?{}">{}</a>',
        reverse("exchange"),
        urlencode({"correlation_id": correlation_id}),
        correlation_id,
    )
