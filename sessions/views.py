"""What the hub answers of Sessions itself (mod_sessions, Interfaces and endpoints).

Pushes and preferences go to one party, through the gateway; pushes.py and preferences.py come then.
"""

from django.http import HttpResponse

from hub.routing.directory import holder
from hub.routing.request import OcpiRequest
from hub.store.pages import list_page
from hub.views import OcpiView
from sessions.visibility import lists_for


class SessionsSender(OcpiView):
    """The Sender interface, addressed to the hub."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """GET All: the Sessions that the caller may see."""
        return list_page(lists_for(request.sender, holder.snapshot), request)
