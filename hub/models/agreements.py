"""Agreements: the operator's word on which parties may exchange what (mod_hub_client_info)."""

from django.db import models
from django.db.models.functions import Concat, Greatest, Least, Upper

from hub.ocpi.party import PartyId


def _name(side: str) -> Upper:
    return Upper(Concat(f"country_code_{side}", f"party_id_{side}"))


class Agreement(models.Model):
    """The operator's word on a pair of parties: may they exchange this module?"""

    country_code_a = models.CharField(max_length=2)
    party_id_a = models.CharField(max_length=3)
    country_code_b = models.CharField(max_length=2)
    party_id_b = models.CharField(max_length=3)
    module = models.CharField(max_length=64, blank=True, help_text="Empty: all modules.")
    is_open = models.BooleanField(default=True)
    note = models.CharField(
        max_length=200, blank=True, help_text="Told to a party that is refused."
    )
    last_updated = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            # The order of the two parties means nothing.
            models.UniqueConstraint(
                Least(_name("a"), _name("b")),
                Greatest(_name("a"), _name("b")),
                "module",
                name="agreement_once_per_pair_and_module",
            )
        ]

    def __str__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"{self.pair[0]} and {self.pair[1]}: {self.module or 'all modules'} {state}"

    @property
    def pair(self) -> tuple[PartyId, PartyId]:
        """Both parties; the order means nothing."""
        return (
            PartyId(self.country_code_a.upper(), self.party_id_a.upper()),
            PartyId(self.country_code_b.upper(), self.party_id_b.upper()),
        )
