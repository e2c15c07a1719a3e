"""The response_url of a check: where a party posts results of commands and profiles."""

from django.http import HttpResponse
from rest_framework.request import Request

from hub.conformance.models import AwaitedResult
from hub.ocpi.errors import NotFound
from hub.views import OcpiView, answer, exchange_of


class CheckResults(OcpiView):
    """POST: kept for the check that waits; only the platform that was told this URL may."""

    def post(self, request: Request, key: str) -> HttpResponse:
        """The first result stands."""
        exchange = exchange_of(request)
        rows = AwaitedResult.objects.filter(key=key, platform_id=exchange.platform.id)
        if not rows.exists():
            raise NotFound("This response_url was not given to your platform.")
        rows.filter(body__isnull=True).update(
            body=exchange.body, query=request.META.get("QUERY_STRING", "")[:100]
        )
        return answer()
