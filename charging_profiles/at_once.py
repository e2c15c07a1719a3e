"""Profile commands from the event loop: their results, and that an answer has left (decision 0030).

mod_charging_profiles, Flow. Whatever is not as simple, views.py and models.py do on a thread.
"""

from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse

from charging_profiles.models import ADD, DELIVERED, IS_NOW, ProfileCommand
from charging_profiles.objects import ProfileResult
from charging_profiles.results import answer_to, result_of
from hub.db import sql
from hub.db.batch_writer import Statement, Writer
from hub.db.django_threads import DjangoThreads
from hub.db.leases import NOW
from hub.deviations import noting
from hub.ocpi.errors import OcpiError
from hub.ocpi.reading import deviations_of
from hub.outbox import outbox
from hub.record import counters
from hub.routing import decisions
from hub.routing.directory import holder
from hub.routing.request import OcpiRequest
from hub.workers import wake

_TABLE: Final = ProfileCommand._meta.db_table
# In the order in which Django reads them.
_SAID: Final = (
    *("id", "method", "fsp_country_code", "fsp_party_id", "cpo_country_code", "cpo_party_id"),
    *("correlation_id", "state", "is_result_handed_over"),
)
_BYTES: Final = {"body", "answer_body", "result_body"}
# Written once, by its key, however often that is repeated. Foreign keys may wait for a platform.
_ADD: Final = Statement("command_add", ADD, binary=_BYTES, may_wait=True)
_PASSED_ON: Final = Statement(
    "command_passed_on",
    f"""
    UPDATE {_TABLE} SET passed_on_at = coalesce(passed_on_at, {NOW})
    WHERE id = (
        SELECT id FROM {_TABLE} WHERE id = %(id)s::bigint FOR NO KEY UPDATE SKIP LOCKED
    ) AND NOT is_result_handed_over AND result = ''
    RETURNING true
    """,  # noqa: S608 - names of ours
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
STATEMENTS: Final = (_ADD, _PASSED_ON, _RESULT)


async def add(writer: Writer, django: DjangoThreads, command: ProfileCommand) -> None:
    """As `command.add`."""
    given = {
        name: str(value) if isinstance(value, str) else value
        for name, value in sql.by_column(command).items()
    }
    found = await writer.run(_ADD, given | {"seconds": str(settings.FORWARD_TIMEOUT)})
    if not found:
        await django.run(command.add)
        return
    [(pk, _, replaces)] = found
    command.pk = int(pk or b"")
    if replaces == b"true" and command.method != "GET":
        await django.run(command.end_older)


async def passed_on(pk: int, writer: Writer, django: DjangoThreads) -> None:
    """As `ProfileCommand.passed_on`, which it leaves what has a result already."""
    if not await writer.run(_PASSED_ON, {"id": pk}):
        await django.run(ProfileCommand.passed_on, pk)


async def result_posted(writer: Writer, request: OcpiRequest, key: str) -> HttpResponse | None:
    """The answer to the first result of a command; None where nothing was done."""
    try:
        result = result_of(request.body)
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
    said: list[Any] = [(value or b"").decode() for value in kept[0]]
    command = ProfileCommand.from_db(None, _SAID, [int(said[0]), *said[1:-1], said[-1] == "true"])
    if command.is_result_handed_over:
        wake.nudge_at_once(writer, "deliveries")
    if command.state == f"RESULT_{result}":
        counters.command_ended(command.method, command.state)
    noting.note(request.platform.id, deviations_of(request.body, ProfileResult))
    return answer_to(command, result, is_first=True)


def _may_send(request: OcpiRequest) -> list[str]:
    """The parties of the platform, but for those that may not send."""
    found = []
    for party in request.platform.parties:
        try:
            decisions.check_may_send(holder.snapshot, party)
        except OcpiError:
            continue
        found.append(str(party))
    return found
