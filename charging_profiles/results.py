"""What the EVSE said about a profile, as a CPO posts it to the hub's own `response_url`.

mod_charging_profiles, Sender interface. The first result of a command is kept from the event loop
(decision 0030); what is odd about one has a thread.
"""

import logging
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse

from charging_profiles.models import DELIVERED, IS_NOW, ProfileCommand
from charging_profiles.objects import ChargingProfileResultType, ProfileResult
from hub.db.batch_writer import Statement, Writer
from hub.db.leases import NOW
from hub.deviations import noting
from hub.ocpi import headers, results
from hub.ocpi.datatypes import check_json
from hub.ocpi.errors import InvalidParameters, NotFound, OcpiError
from hub.ocpi.reading import deviations_of
from hub.outbox import outbox
from hub.routing.directory import holder
from hub.routing.request import OcpiRequest
from hub.routing.senders import check_may_send
from hub.views import OcpiView, RelatedAnswer, answer
from hub.workers import wake

logger = logging.getLogger(__name__)
# A result that OCPI does not know; the command has ended with it all the same.
OTHER: Final = "OTHER"


class ProfileResults(OcpiView):
    """The `response_url` that the hub gave the CPO (Sender interface, POST)."""

    def post(self, request: OcpiRequest, key: str) -> HttpResponse:
        """One of the three results. A repetition changes nothing; a late one is passed on.

        Only its `result` is read: what it says of a profile is for who asked.
        """
        command = ProfileCommand.given(key, request.platform.id)
        if command is None:
            raise NotFound("This URL was not given to your platform, or is no longer valid.")
        check_may_send(holder.snapshot, command.cpo)
        result = _result_of(request.body)
        kept = command.record_result(result, request.body)
        return _answer(request, kept or command, result, is_first=kept is not None)


def _result_of(body: bytes) -> str:
    """One of ChargingProfileResultType, or OTHER.

    InvalidParameters (2001) for what says nothing: the CPO is still to tell. NotJson for no body.
    """
    check_json(body)
    word = results.result_of(body)
    if not word:
        raise InvalidParameters(
            "result is required: one of " + ", ".join(ChargingProfileResultType) + "."
        )
    return word if word in ChargingProfileResultType.__members__ else OTHER


def _answer(
    request: OcpiRequest, command: ProfileCommand, result: str, *, is_first: bool
) -> RelatedAnswer:
    """What the CPO is told of the result that it has posted; and the log."""
    noting.note(request.platform.id, deviations_of(request.body, ProfileResult))
    logger.info(
        "%s result %s of profile command %s from %s, correlation %s",
        command.method,
        result if is_first else "repeated",
        command.pk,
        command.cpo,
        command.correlation_id,
    )
    said = answer(message=None if is_first else "This result had been received already.")
    response = RelatedAnswer(said, command.correlation_id)
    # "any request/response to/from a Functional Module"; the gateway cannot know whose it is.
    response[headers.TO_COUNTRY_CODE] = command.cpo_country_code
    response[headers.TO_PARTY_ID] = command.cpo_party_id
    response[headers.FROM_COUNTRY_CODE] = command.fsp_country_code
    response[headers.FROM_PARTY_ID] = command.fsp_party_id
    return response


# --- From the event loop --------------------------------------------------------------------------

_TABLE: Final = ProfileCommand._meta.db_table
# In the order in which Django reads them.
_SAID: Final = (
    *("id", "method", "session_id", "fsp_country_code", "fsp_party_id", "cpo_country_code"),
    *("cpo_party_id", "epoch", "correlation_id", "state", "is_result_handed_over"),
)
# Of a command of one of the parties that may send.
_RESULT: Final = Statement(
    "command_result",
    f"""
    WITH kept AS (
        UPDATE {_TABLE} SET {IS_NOW}
        WHERE id = (
            SELECT id FROM {_TABLE}
            WHERE key = %(key)s::text AND cpo_platform_id = %(platform)s::bigint
              AND created_at > {NOW} - %(days)s::int * interval '1 day'
            FOR NO KEY UPDATE SKIP LOCKED
        ) AND result = ''
          AND upper(cpo_country_code) || '-' || upper(cpo_party_id) = ANY(%(parties)s::text[])
        RETURNING *
    ), queued AS (
        {outbox.enqueued("kept WHERE is_result_handed_over AND response_url <> ''", **DELIVERED)}
    )
    SELECT {", ".join(f"{name}::text" for name in _SAID)} FROM kept
    """,  # noqa: S608 - names of ours
    binary={"body"},
)
STATEMENTS: Final = (_RESULT,)


async def posted(writer: Writer, request: OcpiRequest, key: str) -> HttpResponse | None:
    """Do as `ProfileResults.post` for the first result of a command; None: nothing was done."""
    try:
        result = _result_of(request.body)
    except OcpiError:
        return None
    kept = await writer.run(
        _RESULT,
        {
            "key": key,
            "platform": request.platform.id,
            "days": settings.CALLBACK_VALID_DAYS,
            "result": result,
            "body": request.body,
            "parties": _may_send(request),
        },
    )
    if not kept:
        return None
    command = _command_of([(value or b"").decode() for value in kept[0]])
    command.tell_result()
    if command.is_result_handed_over:
        wake.nudge_at_once(writer, "deliveries")
    return _answer(request, command, result, is_first=True)


def _command_of(texts: list[str]) -> ProfileCommand:
    """What `_SAID` names, out of the database's texts."""
    read: dict[str, Any] = dict(zip(_SAID, texts, strict=True))
    read["id"], read["epoch"] = int(read["id"]), int(read["epoch"])
    read["session_id"] = int(read["session_id"]) if read["session_id"] else None
    read["is_result_handed_over"] = read["is_result_handed_over"] == "true"
    return ProfileCommand.from_db(None, _SAID, list(read.values()))


def _may_send(request: OcpiRequest) -> list[str]:
    """The parties of the platform, except those that may not send."""
    found = []
    for party in request.platform.parties:
        try:
            check_may_send(holder.snapshot, party)
        except OcpiError:
            continue
        found.append(str(party))
    return found
