"""HubClientInfo: the list of the parties that a platform can reach (mod_hub_client_info)."""

from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.http import HttpResponse

from hub.models import Admission, Party
from hub.ocpi import own_paths
from hub.ocpi.errors import ClientError
from hub.ocpi.pagination import page_headers, read_page
from hub.parties.party_status import client_info
from hub.routing.directory import PlatformEntry, holder
from hub.routing.request import OcpiRequest
from hub.views import OcpiView, answer

_CLOSED: Final = (
    "Every party of your platform is suspended by the operator of this hub, or waits for its "
    "agreement; versions and credentials are open to you."
)


def check_open(viewer: PlatformEntry) -> None:
    """ClientError (403) when no party of the platform may take part."""
    if not viewer.is_open:
        raise ClientError(_CLOSED, http_status=HTTPStatus.FORBIDDEN)


class HubClientInfo(OcpiView):
    """GET: all other platforms' parties with their ConnectionStatus, paged."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """A list of ClientInfo, in the order in which the parties came."""
        page = read_page(request.query_params)
        viewer = request.platform
        check_open(viewer)
        parties = Party.objects.exclude(platform_id=viewer.id).order_by("id")
        # A party that the operator has not agreed to is told to nobody.
        parties = parties.exclude(admission=Admission.CLAIMED)
        if page.date_from is not None:
            parties = parties.filter(last_updated__gte=page.date_from)
        if page.date_to is not None:
            parties = parties.filter(last_updated__lt=page.date_to)
        directory = holder.snapshot
        found = parties[page.offset : page.offset + page.limit]
        response = answer([client_info(party, viewer, directory) for party in found])
        url = settings.BASE_URL + own_paths.CLIENT_INFO.path()
        for name, value in page_headers(page, parties.count(), url, request.query_params).items():
            response[name] = value
        return response
