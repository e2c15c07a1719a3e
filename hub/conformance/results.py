"""The response_url of a check: where a party posts results of commands and profiles."""

from django.http import HttpResponse

from hub.conformance.models import AwaitedResult
from hub.ocpi.errors import NotFound
from hub.routing.request import OcpiRequest
from hub.views import OcpiView, answer


class CheckResults(OcpiView):
    """POST: kept for the check that waits; only the platform that was told this URL may."""

    def post(self, request: OcpiRequest, key: str) -> HttpResponse:
        """The first result stands."""
        rows = AwaitedResult.objects.filter(key=key, platform_id=request.platform.id)
        if not rows.exists():
            raise NotFound("This response_url was not given to your platform.")
        rows.filter(body__isnull=True).update(body=request.body, query=request.query[:100])
        return answer()
