"""What the hub answers of Sessions itself (mod_sessions, Interfaces and endpoints).

Pushes and preferences go to one party, through the gateway; flex/relay.py keeps them then.
"""

from django.http import HttpResponse
from rest_framework.request import Request

from hub.routing.directory import holder
from hub.store.pages import list_page
from hub.views import OcpiView, exchange_of
from sessions.visibility import lists_for


class SessionsSender(OcpiView):
    """The Sender interface, addressed to the hub."""

    def get(self, request: Request) -> HttpResponse:
        """GET All: the Sessions that the caller may see."""
        return list_page(lists_for(exchange_of(request).caller, holder.snapshot), request)
