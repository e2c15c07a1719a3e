"""Sessions that an eMSP has handed on to its SCSP (mod_charging_profiles, Topologies).

"The eMSP can forward OCPI Session Objects to the SCSP", which then acts "via the eMSP": it is known
to that eMSP for the session. What a Session says is its CPO's to tell, and is not kept here.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from django.db import models
from django.utils import timezone

from hub.db import sql
from hub.ocpi.party import PartyId

# Longer than the 36 characters that the text has; beyond that there is no such session.
LONGEST_ID: Final = 255


class HandedOn(models.Model):
    """That this eMSP hands this Session of its driver on to this SCSP; ids in upper case.

    One eMSP for a session and SCSP: a second one with the same id speaks of another's session.
    """

    owner = models.CharField(max_length=6)
    session_id = models.CharField(max_length=LONGEST_ID)
    emsp = models.CharField(max_length=6)
    scsp = models.CharField(max_length=6)
    told_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        verbose_name_plural = "sessions handed on"
        constraints = [
            models.UniqueConstraint(fields=["scsp", "session_id", "owner"], name="handed_on_once")
        ]
        indexes = [models.Index(fields=["session_id"], name="handed_on_by_session")]

    def __str__(self) -> str:
        return f"{self.owner} {self.session_id} by {self.emsp} to {self.scsp}"

    @classmethod
    def keep(cls, owner: PartyId, session_id: str, emsp: PartyId, scsp: PartyId) -> None:
        """The SCSP has accepted a PUT of it; an id that no Session has is not kept."""
        if len(session_id) > LONGEST_ID:
            return
        row = cls(
            owner=str(owner),
            session_id=session_id.upper(),
            emsp=str(emsp),
            scsp=str(scsp),
        )
        sql.run(
            f"{sql.insert_into(cls)} ON CONFLICT (scsp, session_id, owner) "
            f"DO UPDATE SET told_at = excluded.told_at, emsp = excluded.emsp",
            sql.values(row),
        )

    @classmethod
    def forget(cls, sessions: Iterable[tuple[PartyId, str]]) -> None:
        """End the handing on of these sessions."""
        for owner, session_id in sessions:
            cls.objects.filter(owner=str(owner), session_id=session_id.upper()).delete()

    @classmethod
    def emsps(
        cls, session_id: str, scsp: PartyId, *, owner: PartyId | None = None
    ) -> Sequence[PartyId]:
        """The eMSPs that handed a session of this id on to the SCSP; at most one for each owner."""
        found = cls.objects.filter(scsp=str(scsp), session_id=session_id.upper())
        if owner is not None:
            found = found.filter(owner=str(owner))
        return [PartyId.parse(emsp) for emsp in sorted(set(found.values_list("emsp", flat=True)))]

    @classmethod
    def scsps(cls, session_id: str, emsp: PartyId) -> Sequence[PartyId]:
        """The SCSPs to which the eMSP has handed on a session of this id."""
        found = cls.objects.filter(emsp=str(emsp), session_id=session_id.upper())
        return [PartyId.parse(scsp) for scsp in sorted(set(found.values_list("scsp", flat=True)))]
