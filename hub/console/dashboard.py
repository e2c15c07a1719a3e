"""The console's first page: who is connected, what flows, what failed and why.

The page is drawn once; its body is a fragment that a script asks for again every few seconds, as
long as somebody looks (static/hub/live.js). What a person may not see elsewhere is not told here.
"""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from hub.console.access import roles, scope
from hub.console.overview import failures, network, steering, tiles, traffic

RECENTLY = timedelta(hours=1)
# The page asks again so often.
EVERY = 5  # seconds
_EFFECTS = "flex_knowledge.view_profileeffect"
_COMMANDS = "ocpi_charging_profiles.view_profilecommand"


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Called by unfold (DASHBOARD_CALLBACK)."""
    context |= {"title": "Overview", "every": EVERY, **_body(request.user)}
    return context


def live(request: HttpRequest) -> HttpResponse:
    """The body alone, as it is now; 403 for who has no first page of this kind."""
    scope.check(request.user, roles.OVERVIEW)
    return TemplateResponse(request, "console/overview.html", _body(request.user))


def _body(reader: User | AnonymousUser) -> dict[str, Any]:
    """All parts that this person may see."""
    now = timezone.now()
    since = now - RECENTLY
    sees = reader.has_perm
    flow = traffic.of_last_hour(now) if sees(roles.MESSAGES) else None
    steered = steering.steered_now() if sees(_EFFECTS) else None
    shown = [
        tiles.messages(flow) if flow else None,
        tiles.parties() if sees("hub.view_party") else None,
        tiles.sessions() if sees("ocpi_sessions.view_session") else None,
        tiles.steered(steered, since) if steered else None,
        tiles.deliveries(since) if sees("hub.view_delivery") else None,
        tiles.workers() if sees("hub.view_platform") else None,
    ]
    cards = [
        network.offline() if sees("hub.view_platform") else None,
        network.behind(now) if sees("hub.view_stalecopy") else None,
        network.handshakes(now) if sees(roles.MESSAGES) else None,
        network.deviations(now) if sees("hub.view_platform") else None,
        network.pulls() if sees("hub.view_platform") else None,
    ]
    failed = failures.newest(
        failures.refused(since) if sees(roles.MESSAGES) else [],
        failures.commands(since) if sees(_COMMANDS) else [],
        failures.pushes(since) if sees("hub.view_delivery") else [],
    )
    return {
        "tiles": list(filter(None, shown)),
        "alerts": network.alerts() if sees("alerts.view_alert") else [],
        "traffic": flow,
        "failures": failed,
        "cards": list(filter(None, cards)),
        "steered": steered,
        "now": now,
    }
