"""Which CPO holds which reservation (mod_commands): CANCEL_RESERVATION names nothing else."""

from django.db import models
from django.utils import timezone

from hub.ocpi.party import PartyId


class Reservation(models.Model):
    """A RESERVE_NOW that its CPO has taken; `reservation_id` is the eMSP's own."""

    emsp = models.CharField(max_length=6)
    cpo = models.CharField(max_length=6)
    reservation_id = models.CharField(max_length=36)
    expiry_date = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["emsp", "reservation_id", "cpo"], name="reservation_once"
            )
        ]

    def __str__(self) -> str:
        return f"reservation {self.reservation_id} of {self.emsp} at {self.cpo}"

    @classmethod
    def holders(cls, emsp: PartyId, reservation_id: str) -> tuple[PartyId, ...]:
        """The CPOs at which this eMSP has a reservation of this id; running ones go first."""
        found = cls.objects.filter(emsp=str(emsp), reservation_id=reservation_id.upper())
        running = found.filter(expiry_date__gt=timezone.now())
        names = (running if running.exists() else found).order_by("cpo")
        return tuple(map(PartyId.parse, names.values_list("cpo", flat=True)))
