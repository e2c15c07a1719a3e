"""Which CPO holds which reservation (mod_commands): CANCEL_RESERVATION names nothing else."""

from datetime import timedelta
from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from commands.objects import CommandResultType
from hub.models import locking
from hub.ocpi.party import PartyId

# A reservation may be cancelled so long after its end: clocks differ, and so do views of an end.
KNOWN_AFTER_END: Final = timedelta(hours=1)
LONGEST_ID: Final = 255
# Results of a RESERVE_NOW after which there is no reservation, or the one that was there before.
_REFUSING: Final = frozenset(CommandResultType) - {
    CommandResultType.ACCEPTED,
    CommandResultType.CANCELED_RESERVATION,
}
# Results of a CANCEL_RESERVATION after which there is no reservation any more.
_CANCELLING: Final = frozenset(
    {
        CommandResultType.ACCEPTED,
        CommandResultType.CANCELED_RESERVATION,
        CommandResultType.UNKNOWN_RESERVATION,
    }
)


class Reservation(models.Model):
    """A RESERVE_NOW that its CPO has taken; `reservation_id` is the eMSP's own, in upper case.

    One that replaces another is a row beside it until the Charge Point has accepted it; of a CPO's
    rows the newest counts. Keys are those of the response_urls that the CPO was given.
    """

    emsp = models.CharField(max_length=6)
    cpo = models.CharField(max_length=6)
    reservation_id = models.CharField(max_length=LONGEST_ID)
    expiry_date = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField(default=timezone.now)
    key = models.CharField(max_length=32, blank=True)
    # Keys of the reservations that this one has replaced: the CPO may cancel it on their URLs, too.
    former_keys = ArrayField(models.CharField(max_length=32), default=list, blank=True)
    # Keys of the CANCEL_RESERVATIONs that the CPO has taken.
    cancel_keys = ArrayField(models.CharField(max_length=32), default=list, blank=True)

    class Meta:
        indexes = [models.Index(fields=["emsp", "reservation_id", "cpo"], name="reservation_by_id")]

    def __str__(self) -> str:
        return f"reservation {self.reservation_id} of {self.emsp} at {self.cpo}"

    @classmethod
    def holders(cls, emsp: PartyId, reservation_id: str) -> tuple[PartyId, ...]:
        """The CPOs at which this eMSP has a reservation of this id.

        Running ones, else those that have ended a while ago.
        """
        now = timezone.now()
        newest = {
            one.cpo: one.expiry_date
            for one in cls.objects.filter(
                emsp=str(emsp), reservation_id=reservation_id.upper()
            ).order_by("pk")
        }
        for since in (now, now - KNOWN_AFTER_END):
            found = sorted(cpo for cpo, expiry_date in newest.items() if expiry_date > since)
            if found:
                return tuple(map(PartyId.parse, found))
        return ()

    @classmethod
    @locking.whole
    def cancelling(cls, emsp: PartyId, cpo: PartyId, reservation_id: str, key: str) -> None:
        """The CPO has taken a CANCEL_RESERVATION; its result comes to the URL of this key."""
        for one in cls.objects.select_for_update().filter(
            emsp=str(emsp), cpo=str(cpo), reservation_id=reservation_id.upper()
        ):
            one.cancel_keys = [*one.cancel_keys, key]
            one.save(update_fields=["cancel_keys"])

    @classmethod
    @locking.whole
    def told(cls, emsp: PartyId, cpo: PartyId, key: str, result: str) -> None:
        """Note the Charge Point's result of the command whose URL has this key; safe to repeat."""
        concerned = cls.objects.select_for_update().filter(emsp=str(emsp), cpo=str(cpo))
        if result in _CANCELLING:
            concerned.filter(cancel_keys__contains=[key]).delete()
        if result in _REFUSING:
            concerned.filter(key=key).delete()
        elif result == CommandResultType.ACCEPTED:
            for one in concerned.filter(key=key):
                one._replaces(concerned)
        elif result == CommandResultType.CANCELED_RESERVATION:
            ended = models.Q(key=key) | models.Q(former_keys__contains=[key])
            for one in concerned.filter(ended):
                one._former(concerned).delete()
                one.delete()

    def _former(self, concerned: "models.QuerySet[Reservation]") -> "models.QuerySet[Reservation]":
        return concerned.filter(reservation_id=self.reservation_id, pk__lt=self.pk)

    def _replaces(self, concerned: "models.QuerySet[Reservation]") -> None:
        """Let it stand for the reservations before it."""
        former = list(self._former(concerned))
        if former:
            keys = [key for one in former for key in (one.key, *one.former_keys) if key]
            self.former_keys = [*self.former_keys, *keys]
            self.save(update_fields=["former_keys"])
            concerned.filter(pk__in=[one.pk for one in former]).delete()
