"""Sessions that are steered, and a CPO that answers as a test tells it: for the hub's own turns."""

from collections.abc import Callable
from typing import Any

from django.db.models.functions import Now

from charging_profiles import tasks
from flex import hub_commands
from flex.life import following, means, spacing, watching
from flex.life.models import HubCommand, NotTaken, Spacing, SteeredSession, Step
from flex.models import JournalEntry
from flex.sites.models import Site
from hub.db import leases
from locations.models import Location
from party.messages import Received, Reply
from sessions.models import Session
from tests.charging_profiles.test_order import methods, wait
from tests.minimal import MOMENT, as_json
from tests.scripted import Actor, url_given

# Long enough for the slowest machine: no command of these tests expires by itself.
ACCEPTED = {"result": "ACCEPTED", "timeout": 600}
TAKEN = {"result": "ACCEPTED"}
NONE = {"result": "UNKNOWN"}


def forget_what_was_learned() -> None:
    """What one test teaches the hub of a CPO is no other's affair."""
    for model in (NotTaken, Spacing, Location, Site):
        model.objects.all().delete()


def refusal(word: str) -> dict[str, Any]:
    return {"result": word, "timeout": 0}


def steered(cast, session_id: str) -> Session:
    """A session whose eMSP is FSP by a profile that the EVSE has taken."""
    cast.cpo.put_session(session_id, cast.emsp)
    says(cast.cpo, session_id)
    assert cast.emsp.put_profile(session_id).json()["data"] == ACCEPTED
    told(cast.cpo, session_id, 1)
    return Session.objects.get(session_id=session_id)


def told(cpo: Actor, session_id: str, number: int, result: dict[str, Any] | None = None) -> None:
    """The CPO tells the result of the command that it got as the so-manieth of a session."""
    url = url_given(cpo.asked(session_id, number)[number - 1])
    assert cpo.post_result(url, result or TAKEN).status_code == 200


def says(cpo: Actor, session_id: str, *words: str) -> None:
    """Answer so to the next commands, one after the other, and accept all later ones."""
    left = list(words)

    async def answer(message: Received) -> Reply:
        if message.interface != "receiver" or message.module != "chargingprofiles" or not left:
            return Reply(ACCEPTED)
        return Reply(refusal(left.pop(0)))

    cpo.answers(session_id, answer)


def advance() -> None:
    """The parts of the turn that are about commands: who is FSP is the affair of other tests."""
    following.follow_all()
    watching.take()
    hub_commands.advance()
    spacing.forget_what_was_not_needed()
    means.unlearn()


def goes_on(predicate: Callable[[], Any]) -> bool:
    """Turns of the clock until it is so; no pause is waited for."""

    def turn() -> bool:
        HubCommand.objects.filter(step=Step.DUE).update(due_at=Now())
        SteeredSession.objects.filter(due_at__isnull=False).update(due_at=Now())
        advance()
        tasks.end_overdue()
        return bool(predicate())

    return wait(turn)


def has_sent(cast, session_id: str, *expected: str) -> bool:
    return goes_on(lambda: methods(cast, session_id) == list(expected))


def ended(row: HubCommand) -> HubCommand:
    def is_over() -> bool:
        row.refresh_from_db()
        return not row.is_open

    assert goes_on(is_over)
    return row


def active(limit: float, unit: str = "A") -> dict[str, Any]:
    periods = [{"start_period": 0, "limit": limit}]
    profile = {"charging_rate_unit": unit, "charging_profile_period": periods}
    return TAKEN | {"profile": {"start_date_time": MOMENT, "charging_profile": profile}}


def journal(session: Session) -> str:
    lines = JournalEntry.objects.filter(session=session).order_by("pk")
    return "\n".join(lines.values_list("reason", flat=True))


def connector_of_32_amperes(cast) -> None:
    connector = {"id": "1", "max_amperage": 32, "max_voltage": 230, "last_updated": MOMENT}
    document = {"id": "LOC1", "evses": [{"uid": "EVSE1", "connectors": [connector]}]}
    Location.objects.create(
        owner=str(cast.cpo.party),
        object_id="LOC1",
        document=as_json(document),
        last_updated=leases.now(),
    )
