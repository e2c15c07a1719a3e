"""What CPOs tell by themselves of active profiles, as it came (mod_charging_profiles, Sender PUT).

The result of a GET stays with its command (models.py); this is the only other way in which a hub
learns what is in force. Kept from the event loop (decision 0030), whatever the receiver made of it:
the CPO knows better than the receiver what its EVSE does.
"""

from collections.abc import Mapping
from typing import Any, Final

from django.db import models

from hub.db import sql
from hub.db.batch_writer import Statement, Writer
from hub.db.leases import NOW
from hub.models.versions import came_in
from hub.ocpi.party import PartyId
from sessions.models import Session


class ProfileUpdate(models.Model):
    """One ActiveChargingProfile that a CPO has sent by itself."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="profile_updates")
    document = models.BinaryField()
    ocpi_version = came_in()
    # The party that it was sent to ("NL-SCS").
    told_to = models.CharField(max_length=6)
    correlation_id = models.CharField(max_length=255)
    received_at = models.DateTimeField()

    class Meta:
        verbose_name = "update of an active profile"
        verbose_name_plural = "updates of active profiles"
        indexes = [
            models.Index(fields=["session", "-received_at"], name="profile_update_latest"),
            models.Index(fields=["received_at"], name="profile_update_by_age"),
        ]

    def __str__(self) -> str:
        return f"told to {self.told_to}"

    @staticmethod
    def keep(values: Mapping[str, Any]) -> None:
        """Write what `values_of` says, where the hub knows the session."""
        sql.run(KEEP, values)


def values_of(
    cpo: PartyId, session_id: str, body: bytes, told_to: PartyId, correlation_id: str
) -> dict[str, Any]:
    """The parameters of `KEEP`."""
    return {
        "country_code": cpo.country_code,
        "party_id": cpo.party_id,
        # No text of a database has a NUL, and no session that the hub knows.
        "session_id": "" if "\0" in session_id else session_id,
        "document": body,
        "told_to": str(told_to),
        "correlation_id": correlation_id,
    }


# A message that is kept twice says the same twice.
KEEP: Final = f"""
    INSERT INTO {ProfileUpdate._meta.db_table}
        (session_id, document, told_to, correlation_id, received_at)
    SELECT id, %(document)s::bytea, %(told_to)s::text, %(correlation_id)s::text, {NOW}
    FROM ocpi_sessions_session
    WHERE upper(country_code) = upper(%(country_code)s::text)
      AND upper(party_id) = upper(%(party_id)s::text)
      AND upper(session_id) = upper(%(session_id)s::text)
    RETURNING id::text
"""  # noqa: S608 - names of ours
_KEEP: Final = Statement("profile_update", KEEP, binary={"document"})
STATEMENTS: Final = (_KEEP,)


async def keep_at_once(writer: Writer, values: Mapping[str, Any]) -> bool:
    """Do as `ProfileUpdate.keep`; False where nothing was done."""
    return await writer.run(_KEEP, values) is not None
