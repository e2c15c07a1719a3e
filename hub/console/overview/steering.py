"""Sessions that are steered now: their newest accepted profile, and what it is seen to do."""

from dataclasses import dataclass
from typing import Final

from django.urls import reverse
from django.utils.safestring import SafeString

from flex.knowledge.models import LABELS
from flex.knowledge.verdicts import Effect
from hub.console.tables import AMBER, BLUE, GREEN, RED, badge
from hub.db import sql

MOST: Final = 6
# The beginning of a UUID names a session well enough.
_ID: Final = 18
COLOURS: Final = {
    Effect.IN_FORCE: GREEN,
    Effect.LIMITED: BLUE,
    Effect.NOTHING: RED,
    Effect.UNKNOWN: AMBER,
}
# What an operator looks at first.
_ORDER: Final = [Effect.NOTHING, Effect.UNKNOWN, Effect.LIMITED, Effect.IN_FORCE]
# `due_at`: those that are judged again, which ends with their session or with the next profile.
_NOW: Final = """
    WITH steered AS (
        SELECT DISTINCT ON (session.id) session.id, session.session_id, effect.cpo, effect.effect,
               effect.because, effect.accepted_at
        FROM flex_knowledge_profileeffect AS effect
        JOIN ocpi_sessions_session AS session ON session.id = effect.session_id
        WHERE effect.due_at IS NOT NULL AND session.status = 'ACTIVE'
        ORDER BY session.id, effect.accepted_at DESC
    )
    SELECT id, session_id, cpo, effect, because, count(*) OVER (PARTITION BY effect) FROM steered
    ORDER BY array_position(%s::text[], effect::text), accepted_at DESC
"""


@dataclass(frozen=True, slots=True)
class Steered:
    """One session."""

    what: str
    badge: SafeString
    because: str
    url: str


@dataclass(frozen=True, slots=True)
class Steering:
    """All of them by effect, and the first few."""

    counts: dict[Effect, int]
    sessions: list[Steered]

    @property
    def number(self) -> int:
        """All of them."""
        return sum(self.counts.values())


def effect_badge(effect: Effect) -> SafeString:
    """Green is seen to hold, blue by something else, red without effect, amber not known."""
    return badge(LABELS[effect], COLOURS[effect])


def steered_now() -> Steering:
    """The ones that nothing is seen of come first."""
    counts: dict[Effect, int] = {}
    sessions: list[Steered] = []
    for pk, session_id, cpo, verdict, because, number in sql.run(_NOW, [[*map(str, _ORDER)]]):
        effect = Effect(verdict)
        counts[effect] = number
        if len(sessions) < MOST:
            url = reverse("admin:ocpi_sessions_session_change", args=[pk])
            name = session_id if len(session_id) <= _ID else f"{session_id[: _ID - 1]}…"
            sessions.append(Steered(f"{name} at {cpo}", effect_badge(effect), because, url))
    return Steering(counts, sessions)
