"""How Sessions and preferences are handled on their way, for the gateway (mod_sessions)."""

from typing import Final
from urllib.parse import unquote

from hub.db.batch_writer import Writer
from hub.db.django_threads import DjangoThreads
from hub.ocpi.datatypes import InterfaceRole
from hub.routing.decisions import LookupKind
from hub.routing.owners import in_url
from hub.routing.request import OcpiRequest
from hub.store.handling import Handling, ModuleHandling
from sessions import at_once, lookups, pushes, underway
from sessions.models import Session
from sessions.preferences import preferences_put
from sessions.urls import urlpatterns


def _is_known_session(request: OcpiRequest) -> bool:
    session_id = unquote(request.place.ids["session_id"])
    return underway.is_known(in_url(request.place), session_id, request.receiver)


async def _leaves_at_once(writer: Writer, _: DjangoThreads, request: OcpiRequest) -> bool:
    return await at_once.session_leaves(writer, request)


HANDLING: Final = ModuleHandling(
    module=Session.MODULE,
    messages={
        (InterfaceRole.RECEIVER, "PUT"): Handling(
            before=pushes.session_leaves,
            before_at_once=_leaves_at_once,
            is_needless=_is_known_session,
            after=pushes.session_pushed,
            after_at_once=at_once.session_pushed,
            no_answer=pushes.session_lost,
            may_be_repeated=True,
            held_back=pushes.session_held_back,
        ),
        (InterfaceRole.RECEIVER, "PATCH"): Handling(
            after=pushes.session_pushed,
            after_at_once=at_once.session_pushed,
            no_answer=pushes.patch_lost,
            may_be_repeated=True,
        ),
        (InterfaceRole.SENDER, "PUT"): Handling(
            before=lookups.check_preferences_sender, after=preferences_put
        ),
    },
    lookups={
        LookupKind.SESSION: lookups.session_parties,
        LookupKind.SESSION_EMSP: lookups.session_emsp,
    },
    statements=at_once.STATEMENTS,
    urls=urlpatterns,
)
