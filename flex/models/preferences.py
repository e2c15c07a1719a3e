"""PreferenceCopy: what the driver asked, and what the CPO answered (SCALE D2.3, 8.4)."""

from django.db import models
from django.utils import timezone

from hub.models.versions import came_in
from sessions.models import Session


class PreferenceCopy(models.Model):
    """What the driver asked, and what the CPO answered (mod_sessions: ChargingPreferences)."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="preferences")
    document = models.BinaryField()
    ocpi_version = came_in()
    # In upper case; empty where it says none, or nothing that can be read.
    profile_type = models.CharField(max_length=40, blank=True)
    departure_time = models.DateTimeField(null=True, blank=True)
    energy_need = models.DecimalField(
        "energy need (kWh)", max_digits=10, decimal_places=4, null=True, blank=True
    )
    discharge_allowed = models.BooleanField(null=True, blank=True)
    # energy_need does not say "from start" or "from now": the kWh at receipt settle it later.
    kwh_at_receipt = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    cpo_http_status = models.PositiveSmallIntegerField()
    cpo_status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    cpo_answer = models.CharField(max_length=40, blank=True)
    correlation_id = models.CharField(max_length=255)
    received_at = models.DateTimeField(default=timezone.now)
    # The FSP gets them with their Session, which is still on its way to its receiver.
    is_waiting = models.BooleanField(default=False, db_default=False)

    class Meta:
        verbose_name = "charging preferences"
        verbose_name_plural = "charging preferences"
        indexes = [
            models.Index(fields=["session", "-received_at"], name="preference_latest"),
            models.Index(fields=["received_at"], name="preference_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.profile_type or 'preferences'} until {self.departure_time or 'open'}"

    @property
    def is_accepted(self) -> bool:
        """The CPO has taken them: 1xxx, whatever it will make of them."""
        return self.cpo_http_status < 300 and 1000 <= (self.cpo_status_code or 0) <= 1999
