"""Profile commands of a session's flexibility provider, from the event loop (decision 0030).

mod_charging_profiles, Receiver; SCALE D2.3, 11.4. All others, and all that is refused, are answered
by charging_profiles/views.py on a thread.
"""

from typing import Final, NamedTuple
from urllib.parse import unquote

from django.http import HttpResponse

from charging_profiles import at_once
from charging_profiles.objects import SetChargingProfile
from charging_profiles.views import MODULE, Asked, answer_of_cpo, asked_of, command_of
from hub.db.batch_writer import Statement, Writer
from hub.db.django_threads import DjangoThreads
from hub.deviations import noting
from hub.fairness.unanswered import forwards
from hub.ocpi.errors import OcpiError
from hub.ocpi.party import PartyId
from hub.ocpi.reading import deviations_of
from hub.routing import decisions
from hub.routing.directory import holder
from hub.routing.request import OcpiRequest

# To read a longer one would hold up the event loop.
_LONGEST: Final = 50_000
_FIND: Final = Statement(
    "command_find",
    """
    SELECT kept.id::text, kept.country_code, kept.party_id, (
        SELECT epoch::text FROM flex_fspassignment AS one
        WHERE one.session_id = kept.id AND one.ended_at IS NULL AND one.kind = 'PARTY'
          AND upper(one.fsp_country_code) = %(country_code)s::text
          AND upper(one.fsp_party_id) = %(party_id)s::text)
    FROM ocpi_sessions_session AS kept WHERE upper(kept.session_id) = upper(%(session_id)s::text)
    """,
)
STATEMENTS: Final = (_FIND,)


class _Found(NamedTuple):
    """A session, and as of when the caller is its flexibility provider."""

    pk: int
    owner: PartyId
    epoch: int


async def received(
    writer: Writer, django: DjangoThreads, request: OcpiRequest
) -> HttpResponse | None:
    """The answer to a command, to be waited for; None where nothing was done."""
    if len(request.body) > _LONGEST:
        return None
    try:
        asked = asked_of(request)
        found = await _found(writer, asked, request.sent_to)
        if found is None:
            return None
        cpo = decisions.reachable(holder.snapshot, asked.sender, found.owner, MODULE)
        # Who may GET the active profile has no epoch: nothing becomes of it.
        epoch = 0 if asked.method == "GET" else found.epoch
        command = command_of(request, asked, cpo, found.pk, epoch)
        forwards.take(cpo.platform.id)
    except OcpiError:
        return None  # The thread says what is wrong.
    try:
        await at_once.add(writer, django, command)
    except BaseException:
        forwards.give_back(cpo.platform.id)
        raise
    if asked.method == "PUT":
        noting.note(request.platform.id, deviations_of(request.body, SetChargingProfile))
    return answer_of_cpo(command)


async def _found(writer: Writer, asked: Asked, receiver: PartyId | None) -> _Found | None:
    """The one session of this id, at this receiver, whose FSP asks."""
    names = {"session_id": unquote(asked.session_id), **asked.sender._asdict()}
    found = []
    for pk, country_code, party_id, epoch in await writer.run(_FIND, names) or ():
        owner = PartyId.of((country_code or b"").decode(), (party_id or b"").decode())
        if receiver in {None, owner}:
            found.append((pk, owner, epoch))
    if len(found) != 1:
        return None
    [(pk, owner, epoch)] = found
    return _Found(int(pk), owner, int(epoch)) if pk and epoch else None
