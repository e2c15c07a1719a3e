"""The one hook by which flexibility rules decide about charging profiles.

`flex` sets it at start-up; this module itself knows nothing of agreements and assignments.
"""

from dataclasses import dataclass
from typing import Protocol

from hub.ocpi.party import PartyId
from sessions.models import Session


@dataclass(frozen=True, slots=True)
class MayAct:
    """May the caller set or clear profiles? `epoch` is that of its assignment, 0 without one."""

    refusal: str | None
    epoch: int = 0


class Authority(Protocol):
    """Who may act on a session."""

    def verdict(self, session: Session, caller: PartyId, *, is_scsp: bool) -> MayAct:
        """Whether `caller` may PUT and DELETE profiles of the session."""

    def verdict_on_unknown(self, cpo: PartyId, caller: PartyId, *, is_emsp: bool) -> MayAct:
        """The same where the hub does not know the session."""

    def may_see(self, session: Session, caller: PartyId) -> bool:
        """Whether `caller` may GET the active profile."""

    def put_accepted(self, session: Session, caller: PartyId) -> PartyId | None:
        """The CPO has accepted a PUT of `caller`; who is the session's FSP now."""


_installed: list[Authority] = []


def install(authority: Authority) -> None:
    """Called once, at start-up."""
    _installed[:] = [authority]


def current() -> Authority:
    """The installed one."""
    if not _installed:
        raise RuntimeError("no authority over charging profiles is installed")
    return _installed[0]
