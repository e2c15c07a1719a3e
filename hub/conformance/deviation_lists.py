"""What a platform sends that differs from the text, and what is left out, for its own engineers.

Lists of this hub's own, beside OCPI's modules, in OCPI's envelope and pages. They are not in the
version details ("Do NOT send custom moduleIDs to parties you are not 100% sure will understand").
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.http import HttpResponse

from hub.conformance import left_out
from hub.deviations.models import DeviationCount
from hub.deviations.objects import CountedDeviation
from hub.ocpi.pagination import Page, page_headers, read_page
from hub.parties.hub_client_info import check_open
from hub.routing.directory import PlatformEntry, holder
from hub.routing.request import OcpiRequest
from hub.views import OcpiView, answer


class Deviations(OcpiView):
    """GET: what the hub has noted of what the platform sends, the first ones first."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """A list of CountedDeviation; date_from and date_to are about when each was last seen."""
        page = read_page(request.query_params)
        rows = DeviationCount.objects.filter(platform_id=_viewer(request).id).order_by("id")
        if page.date_from is not None:
            rows = rows.filter(last_at__gte=page.date_from)
        if page.date_to is not None:
            rows = rows.filter(last_at__lt=page.date_to)
        found = rows[page.offset : page.offset + page.limit]
        return _paged(request, page, [CountedDeviation.of(row) for row in found], rows.count())


class LeftOutForYou(OcpiView):
    """GET: what its lists and pushes are without, since it wants nothing that deviates."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """A list of LeftOutObjects, by module and owner."""
        found = left_out.for_receiver(_viewer(request), holder.snapshot)
        return _listed(request, found, to_owner=False)


class LeftOutForOthers(OcpiView):
    """GET: which of its objects others do not get, since they want nothing that deviates."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """A list of LeftOutObjects, by module and owner; not who the others are."""
        found = left_out.of_owner(_viewer(request), holder.snapshot)
        return _listed(request, found, to_owner=True)


def _viewer(request: OcpiRequest) -> PlatformEntry:
    platform = request.platform
    check_open(platform)
    return platform


def _listed(
    request: OcpiRequest, found: Sequence[left_out.Missed], *, to_owner: bool
) -> HttpResponse:
    """A page; what was never counted so far has no time, and is in every period."""
    page = read_page(request.query_params)
    found = [
        one
        for one in found
        if one.last_at is None
        or (
            (page.date_from is None or one.last_at >= page.date_from)
            and (page.date_to is None or one.last_at < page.date_to)
        )
    ]
    shown = found[page.offset : page.offset + page.limit]
    return _paged(request, page, [one.told(to_owner=to_owner) for one in shown], len(found))


def _paged(request: OcpiRequest, page: Page, shown: list[Any], total: int) -> HttpResponse:
    response = answer(shown)
    url = settings.BASE_URL + request.path.rstrip("/")
    for name, value in page_headers(page, total, url, request.query_params).items():
        response[name] = value
    return response
