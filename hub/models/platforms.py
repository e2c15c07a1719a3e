"""Platforms: one row for each connection, and what is known of it (credentials)."""

from secrets import token_hex

from django.db import models
from django.utils import timezone

from hub.db import secret_box
from hub.models.pulls import PullRule
from hub.models.versions import LONGEST_VERSION
from hub.ocpi import headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.v2_2_1 import VERSION


class TokenForm(models.TextChoices):
    """How a platform writes credentials tokens, and so how the hub writes them to it."""

    BASE64 = "BASE64", f"Base64, as OCPI {VERSION} asks"
    PLAIN = "PLAIN", "plain, as many older systems do"

    @property
    def other(self) -> "TokenForm":
        """There are two."""
        return TokenForm.PLAIN if self is TokenForm.BASE64 else TokenForm.BASE64

    def authorization(self, credentials_token: str) -> str:
        """The Authorization header with this token."""
        return headers.authorization(credentials_token, base64_encoded=self is TokenForm.BASE64)


class Platform(models.Model):
    """One connection: a credentials pair, hosting one party or several.

    Invited, it has only a TOKEN_A; registered, the hash of its TOKEN_C, our TOKEN_B and endpoints.
    """

    name = models.CharField(max_length=100)
    token_a_hash = models.BinaryField(max_length=32, null=True, blank=True, editable=False)
    token_c_hash = models.BinaryField(max_length=32, null=True, blank=True, editable=False)
    token_b_encrypted = models.BinaryField(default=b"", blank=True, editable=False)
    token_form = models.CharField(
        max_length=6,
        choices=TokenForm,
        default=TokenForm.BASE64,
        help_text="In which the platform took the hub's token last (docs/decisions/0003).",
    )
    fixed_token_form = models.CharField(
        "form of the hub's token",
        max_length=6,
        choices=TokenForm,
        blank=True,
        default="",
        help_text="Empty: as the platform takes it, found out by the hub. Otherwise it is always "
        "written so, and the other form is never tried.",
    )
    other_form_not_before = models.DateTimeField(null=True, blank=True, editable=False)
    pull_rule = models.CharField(
        "pull its lists",
        max_length=11,
        choices=PullRule,
        default=PullRule.WHEN_SILENT,
        help_text="Whether the hub fetches Locations, Tariffs and Tokens itself.",
    )
    is_strict = models.BooleanField(
        "refuse what deviates",
        default=False,
        help_text="What it pushes to the hub, or lists for it, is refused when it differs from the "
        "text anywhere; otherwise that is counted, and the object taken.",
    )
    versions_url = models.CharField(max_length=255, blank=True)
    ocpi_version = models.CharField(
        "OCPI version",
        max_length=LONGEST_VERSION,
        blank=True,
        default="",
        help_text="What its last handshake has settled on; empty before the first.",
    )
    pushes_per_second = models.FloatField(
        null=True,
        blank=True,
        help_text="Most pushes a second that the hub sends here; empty: PUSHES_PER_SECOND.",
    )
    is_aggregator = models.BooleanField(
        "aggregator or NAP",
        default=False,
        help_text="Tells Locations and Tariffs of others, under their ids. What their owners tell "
        "themselves goes before it.",
    )
    requests_per_second = models.FloatField(
        null=True,
        blank=True,
        help_text="Most requests a second that a web process takes of it; empty: "
        "REQUESTS_PER_SECOND, 0: no limit.",
    )
    is_replayed_to = models.BooleanField(
        default=False,
        help_text="When it is back after being OFFLINE, the hub PUTs the current state to it.",
    )
    leaves_out_deviations = models.BooleanField(
        "leave out what deviates",
        default=False,
        help_text="Locations and Tariffs that differ from the text somewhere are left out of its "
        "lists and pushes, but for those that it holds already.",
    )
    invited_at = models.DateTimeField(default=timezone.now)
    registered_at = models.DateTimeField(null=True, blank=True)
    remarks = models.TextField(
        blank=True,
        help_text="What the last handshake found odd; the platform was told so in its answer.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token_a_hash"], name="platform_token_a_once"),
            models.UniqueConstraint(fields=["token_c_hash"], name="platform_token_c_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_registered(self) -> bool:
        """The credentials handshake has ended and was not undone."""
        return self.registered_at is not None

    def invite(self) -> str:
        """Give out a new TOKEN_A; only its hash is kept. Saves nothing."""
        token = token_hex(24)  # As a word of a command it may not begin with a dash.
        self.token_a_hash = secret_box.token_hash(token)
        return token

    @property
    def token_b(self) -> str:
        """The credentials token that the hub sends to this platform."""
        return secret_box.decrypt(bytes(self.token_b_encrypted))

    @property
    def form_in_use(self) -> TokenForm:
        """How the hub writes its token there: the operator's word goes before what was learned."""
        return TokenForm(self.fixed_token_form or self.token_form)

    def forms(self, first: TokenForm) -> tuple[TokenForm, ...]:
        """In which forms a handshake may write a token, `first` at first."""
        if self.fixed_token_form:
            return (TokenForm(self.fixed_token_form),)
        return (first, first.other)


class PlatformHealth(models.Model):
    """When a platform was last heard of: apart from Platform, since it changes all the time."""

    platform = models.OneToOneField(
        Platform, on_delete=models.CASCADE, primary_key=True, related_name="health"
    )
    last_heard_at = models.DateTimeField(default=timezone.now)
    checked_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=300, blank=True)
    # Of the still-alive check (hub/parties/still_alive.py): how many have failed one after the
    # other, when the next one is due, and until when somebody is at it.
    failures = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    next_check_at = models.DateTimeField(null=True, blank=True, editable=False)
    taken_until = models.DateTimeField(null=True, blank=True, editable=False)
    # Of one that is OFFLINE: since when something that it has not been told waited for it.
    lacks_since = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.platform_id}: {self.problem or 'heard'} {self.last_heard_at}"


class Endpoint(models.Model):
    """One endpoint out of a platform's version details: of its `ocpi_version`, as all of them."""

    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="endpoints")
    identifier = models.CharField(max_length=64)
    role = models.CharField(max_length=8, choices=[(r.value, r.value) for r in InterfaceRole])
    url = models.CharField(max_length=255)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "identifier", "role"], name="endpoint_once_per_platform"
            )
        ]

    def __str__(self) -> str:
        return f"{self.identifier} {self.role}"
