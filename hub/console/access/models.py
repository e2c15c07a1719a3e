"""What an account at the console is for, its second factors, and the trail of what was done."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import TextChoices
from django.utils import timezone

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


# --- Second factors -------------------------------------------------------------------------------


class TotpSecret(models.Model):
    """The secret of an app that shows one-time codes (RFC 6238), encrypted."""

    user = models.OneToOneField(
        "auth.User", on_delete=models.CASCADE, primary_key=True, related_name="totp_secret"
    )
    secret_encrypted = models.BinaryField()
    # The half minute of the last code that was right: each code is for one time.
    last_step = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"one-time codes of {self.user_id}"


class SecurityKey(models.Model):
    """A security key or passkey (WebAuthn): its public half."""

    user = models.ForeignKey("auth.User", on_delete=models.CASCADE, related_name="security_keys")
    name = models.CharField(max_length=60)
    credential_id = models.BinaryField(unique=True)
    # AttestedCredentialData of fido2, in bytes.
    credential = models.BinaryField()
    # What the key says how often it was used; 0 for those that do not count.
    sign_count = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class RecoveryCode(models.Model):
    """A hash of a code for who has lost the others; it goes when it is used."""

    user = models.ForeignKey("auth.User", on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="code_once")]

    def __str__(self) -> str:
        return f"a recovery code of {self.user_id}"


# --- The audit trail ------------------------------------------------------------------------------


class Way(TextChoices):
    """How somebody did something."""

    CONSOLE = "CONSOLE", "console"
    API = "API", "admin API"
    COMMAND = "COMMAND", "command line"


class AuditEntry(models.Model):
    """Who did what to which object. The database refuses to change a row (migration 0003).

    It deletes only what is older than a year, which the clean-up asks it to.
    """

    at = models.DateTimeField(default=timezone.now)
    way = models.CharField(max_length=7, choices=Way)
    # The account's name, also when the account is gone; of a key, what may be seen of it.
    who = models.CharField(max_length=150)
    address = models.CharField(max_length=49, blank=True)
    act = models.CharField(max_length=80)
    # The table, and of the row its key and its name at that time.
    about = models.CharField(max_length=80, blank=True)
    object_id = models.CharField(max_length=100, blank=True)
    object_name = models.CharField(max_length=200, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    is_refused = models.BooleanField(default=False)

    class Meta:
        verbose_name = "entry of the audit trail"
        verbose_name_plural = "audit trail"
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_by_time"),
            models.Index(fields=["who", "-at"], name="audit_by_who"),
            models.Index(fields=["about", "object_id"], name="audit_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.who}: {self.act} {self.object_name}".strip()


# --- Keys of the admin API ------------------------------------------------------------------------


class AdminKey(models.Model):
    """A key of the admin API; the secret itself is shown once and kept by nobody here."""

    # The part of it that may be seen, by which people speak of it; and a hash of the whole.
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.BinaryField(unique=True)
    name = models.CharField(max_length=100, blank=True)
    role = models.CharField(max_length=8, choices=Role)
    parties = ArrayField(models.CharField(max_length=6), default=list, blank=True)
    made_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "key of the admin API"
        verbose_name_plural = "keys of the admin API"
        constraints = [
            models.CheckConstraint(
                name="admin_key_of_a_party_names_it",
                condition=models.Q(role="PARTY", parties__len__gt=0)
                | (~models.Q(role="PARTY") & models.Q(parties__len=0)),
            )
        ]

    def __str__(self) -> str:
        return f"fxa_{self.prefix} {self.name}".strip()

    @property
    def is_over(self) -> bool:
        """Whether it opens nothing any more."""
        has_expired = self.expires_at is not None and self.expires_at <= timezone.now()
        return has_expired or self.revoked_at is not None


class SingleSignOn(models.Model):
    """By what a provider knows an account, since it first came from there (OpenID Connect)."""

    user = models.OneToOneField(
        "auth.User", on_delete=models.CASCADE, primary_key=True, related_name="single_sign_on"
    )
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="subject_once")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"
