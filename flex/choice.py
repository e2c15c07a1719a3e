"""Who is flexibility provider (FSP) of a session, and why: the order of choice, without a database.

SCALE D2.3, 8.4 and 11.1. First what the CPO excludes is taken away; then rank decides (operator,
eMSP for its token, CPO), within a rank the narrower scope (session, token, location, default),
within that the later word.
"""

from dataclasses import dataclass
from typing import Final

from django.db import models

from hub.ocpi.party import PartyId


class FspKind(models.TextChoices):
    """What acts as FSP: a party through the hub, or something that the hub only observes."""

    EMSP = "EMSP", "the eMSP of the token"
    SCSP = "SCSP", "an SCSP or another party"
    CPO = "CPO", "the CPO itself"
    EMS = "EMS", "an energy management system on site"
    EV = "EV", "the EV itself"
    NONE = "NONE", "nobody"


FIRST_PUT: Final = "first profile that the CPO accepted"
# Those whose profiles pass through the hub.
PARTY_KINDS: Final = (FspKind.EMSP, FspKind.SCSP)


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is to be FSP, and why; `fsp` where it is a party (EMSP, SCSP)."""

    kind: FspKind
    reason: str
    fsp: PartyId | None = None
    # By its first profile that the CPO accepted, since nobody had set anything.
    is_first_put: bool = False

    @classmethod
    def of_party(
        cls, fsp: PartyId, emsp: PartyId, reason: str, *, is_first_put: bool = False
    ) -> "Choice":
        """A party, which is the session's eMSP or another."""
        kind = FspKind.EMSP if fsp == emsp else FspKind.SCSP
        return cls(kind, reason, fsp, is_first_put)

    def __str__(self) -> str:
        return str(self.fsp or self.kind.label)
