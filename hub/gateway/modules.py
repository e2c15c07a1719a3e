"""Where the gateway meets the modules: how each handles its messages (`module.py` there)."""

from typing import Final

from django.http import HttpResponse

from cdrs.module import HANDLING as CDRS
from charging_profiles.module import HANDLING as CHARGING_PROFILES
from commands.module import HANDLING as COMMANDS
from hub.db.batch_writer import Writer
from hub.db.django_threads import DjangoThreads
from hub.db.leases import Lease
from hub.ocpi import own_paths
from hub.ocpi.errors import HeldBack, OcpiError, ServerError
from hub.outbound.forwarded import Forwarded
from hub.outbound.platform_calls import Response
from hub.routing.decisions import LookupKind
from hub.routing.request import OcpiRequest
from hub.store import broadcast_at_once, told_to_one
from hub.store.handling import AfterAnswer, BeforeForwarding, Handling, NoAnswer
from hub.workers import wake
from locations.module import HANDLING as LOCATIONS
from sessions import flexibility
from sessions.module import HANDLING as SESSIONS
from tariffs.module import HANDLING as TARIFFS
from tokens import authorization as authorization
from tokens.module import HANDLING as TOKENS

MODULES: Final = (LOCATIONS, TARIFFS, TOKENS, SESSIONS, CDRS, COMMANDS, CHARGING_PROFILES)
_HANDLINGS: Final = {
    (one.module, *key): handling for one in MODULES for key, handling in one.messages.items()
}
# Of a custom module, and of what is only passed on.
_PASSED_ON: Final = Handling()
_BEFORE_AT_ONCE: Final = {
    one.before: one.before_at_once for one in _HANDLINGS.values() if one.before_at_once is not None
}
_AT_OWN_PATH: Final = {own: post for one in MODULES for own, post in one.at_own_path.items()}
LOOKUPS: Final = {
    **{kind: ask for one in MODULES for kind, ask in one.lookups.items()},
    LookupKind.OWN_TELLER: told_to_one.own_teller,
}
STATEMENTS: Final = (*(each for one in MODULES for each in one.statements), wake.NUDGE)
# By module: what notes a result that is posted, and what knows the URLs of POSTed objects.
RESULT_POSTED: Final = {one.module: one.result_posted for one in MODULES if one.result_posted}
POSTED_OBJECTS: Final = {one.module: one.posted for one in MODULES if one.posted}


def _of(request: OcpiRequest) -> Handling:
    match = request.place
    return _HANDLINGS.get((match.module, match.role, request.method), _PASSED_ON)


def before_forwarding(request: OcpiRequest) -> BeforeForwarding | None:
    """The check before the message leaves; None for most."""
    handling = _of(request)
    if handling.is_needless is not None and handling.is_needless(request):
        return None
    return handling.before


def no_answer(request: OcpiRequest, error: OcpiError) -> NoAnswer | None:
    """The step to run when no answer came; it gets the request, and the lease of the check."""
    handling = _of(request)
    if isinstance(error, HeldBack) and handling.may_be_repeated:
        return handling.held_back
    return handling.no_answer


def told(request: OcpiRequest, error: OcpiError) -> OcpiError:
    """The error for the sender: it may repeat what the hub itself has held back."""
    if isinstance(error, HeldBack) and _of(request).may_be_repeated:
        return ServerError(error.message, headers={"Retry-After": "1"})
    return error


def after_answer(request: OcpiRequest) -> AfterAnswer | None:
    """The step to run after the receiver's answer and before ours; None for most messages."""
    return _of(request).after


def fields_told(request: OcpiRequest) -> None:
    """Extension fields came beside a message: the flexibility layer keeps them."""
    flexibility.current().fields_told(request)


async def checked(
    writer: Writer, django: DjangoThreads, ask: BeforeForwarding, request: OcpiRequest
) -> Response | Lease | None:
    """The result of a check; from the event loop, where it is simple."""
    at_once = _BEFORE_AT_ONCE.get(ask)
    done = False if at_once is None else await at_once(writer, django, request)
    if done is False:
        return await django.run(ask, request)
    return None if done is True else done


async def at_once(writer: Writer, forwarded: Forwarded) -> bool:
    """Keep it without a thread, where it is simple; False where its keeper has to run."""
    keep = _of(forwarded.request).after_at_once
    return keep is not None and await keep(writer, forwarded)


async def answered_at_once(
    writer: Writer, django: DjangoThreads, request: OcpiRequest
) -> HttpResponse | None:
    """The hub's own answer without a thread, where it is simple; None where a view has to give it.

    Of profile commands, their results, and broadcasts.
    """
    if request.match is None:
        own, key = own_paths.at(request.path)
        post = _AT_OWN_PATH.get(own) if own is not None else None
        if post is not None and request.method == "POST" and key and "/" not in key:
            return await post(writer, request, key)
        return None
    handling = _of(request)
    if handling.broadcast_at_once is not None:
        return await broadcast_at_once.push(writer, django, request, handling.broadcast_at_once)
    if handling.answer_at_once is not None:
        return await handling.answer_at_once(writer, django, request)
    return None
