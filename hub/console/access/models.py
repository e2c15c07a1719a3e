"""What an account at the console is for: its role, and of whose staff it is."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from hub.console.access.roles import Role


class Account(models.Model):
    """The role of one of Django's users; `parties` ("NL-ABC") are those whose staff it is."""

    user = models.OneToOneField(
        "auth.User", on_delete=models.CASCADE, primary_key=True, related_name="account"
    )
    role = models.CharField(max_length=8, choices=Role)
    parties = ArrayField(models.CharField(max_length=6), default=list, blank=True)

    class Meta:
        verbose_name = "role"
        verbose_name_plural = "role"
        constraints = [
            models.CheckConstraint(
                name="account_of_a_party_names_it",
                condition=models.Q(role="PARTY", parties__len__gt=0)
                | (~models.Q(role="PARTY") & models.Q(parties__len=0)),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} {' '.join(self.parties)}".strip()
