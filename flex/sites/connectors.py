"""What the connectors of several sessions give, read at once where somebody asks."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cached_property

from flex.full_rate import FullRate, of_connector
from sessions.models import Session


class Connectors:
    """Those of these sessions, by their primary keys."""

    def __init__(self, sessions: Iterable[int]) -> None:
        self._sessions = list(sessions)

    @cached_property
    def _rates(self) -> dict[int, FullRate]:
        kept = Session.objects.in_bulk(self._sessions)
        return {pk: of_connector(session) for pk, session in kept.items()}

    def most(self, session: int) -> Callable[[str], Decimal | None]:
        """What that of a session gives, in W or in A of each phase; None where nobody knows."""
        return lambda unit: self._rates.get(session, FullRate()).in_unit(unit)
