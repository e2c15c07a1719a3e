"""Extension fields as their sender told them last (SCALE D2.3, 8.4.1.2; hub/ocpi/extensions.py)."""

from django.db import models
from django.utils import timezone

from hub.ocpi.extensions import Carrier, Told
from hub.ocpi.party import PartyId
from sessions.models import Session


class _ExtensionField(models.Model):
    """One field of an object, whole: what a later message does not tell stays, and grows older."""

    teller = models.CharField(max_length=6)
    carrier = models.CharField(max_length=20)
    name = models.CharField(max_length=40)
    # The JSON of the field, as it came.
    value = models.BinaryField()
    correlation_id = models.CharField(max_length=255)
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True

    @property
    def by(self) -> PartyId:
        """Who told it."""
        return PartyId.parse(self.teller)

    @property
    def told(self) -> Told:
        """As it came."""
        return Told(Carrier(self.carrier), self.name, bytes(self.value))


class SessionExtension(_ExtensionField):
    """Of a Session (by its CPO), or of its ChargingPreferences (by its eMSP)."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="extensions")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "carrier", "name"], name="extension_once")
        ]

    def __str__(self) -> str:
        return f"{self.carrier}.{self.name} of session {self.session_id}"


class PlaceExtension(_ExtensionField):
    """Of a CPO's Location, of an EVSE there, or of a Tariff; ids in upper case."""

    object_id = models.CharField(max_length=255)
    # The uid of an EVSE.
    part = models.CharField(max_length=255, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["teller", "carrier", "object_id", "part", "name"],
                name="place_extension_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.carrier}.{self.name} of {self.teller} {self.object_id}"
