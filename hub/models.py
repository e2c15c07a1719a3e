"""What the hub knows of its parties, and what it owes them (credentials, mod_hub_client_info)."""

from datetime import datetime, timedelta
from secrets import token_urlsafe

from django.db import models
from django.db.models.functions import Concat, Greatest, Least, Upper
from django.utils import timezone

from hub import secret_box
from hub.handshake_turns import HandshakeTurn as HandshakeTurn
from hub.ocpi import headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.party import PartyId
from hub.parties import Admission as Admission
from hub.parties import Party as Party
from hub.party_news import NewsPosition as NewsPosition
from hub.party_news import PartyNews as PartyNews
from hub.pulls import Pull as Pull
from hub.pulls import PullRule as PullRule
from hub.pulls import Untold as Untold
from hub.quotas import Usage as Usage
from hub.replays import Deletion as Deletion
from hub.replays import Replay as Replay
from hub.stale_copies import StaleCopy as StaleCopy
from hub.workers.models import DrainLease as DrainLease
from hub.workers.models import Job as Job
from hub.workers.models import Sharding as Sharding
from hub.workers.models import Timer as Timer
from hub.workers.models import WorkerProcess as WorkerProcess


class TokenForm(models.TextChoices):
    """How a platform writes credentials tokens, and so how the hub writes them to it."""

    BASE64 = "BASE64", "Base64, as OCPI 2.2.1 asks"
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
        help_text="Whether the hub fetches Locations, Tariffs and Tokens itself (hub/pull.py).",
    )
    is_strict = models.BooleanField(
        "refuse what deviates",
        default=False,
        help_text="What it pushes to the hub, or lists for it, is refused when it differs from the "
        "text anywhere; otherwise that is counted, and the object taken.",
    )
    versions_url = models.CharField(max_length=255, blank=True)
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
        "lists and pushes, but for those that it holds already (hub/leaving_out.py).",
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
        token = token_urlsafe(32)
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
    # Of the still-alive check (hub/still_alive.py): how many have failed one after the other, when
    # the next one is due, and until when somebody is at it.
    failures = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    next_check_at = models.DateTimeField(null=True, blank=True, editable=False)
    taken_until = models.DateTimeField(null=True, blank=True, editable=False)
    # Of one that is OFFLINE: since when something that it has not been told waited for it.
    lacks_since = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.platform_id}: {self.problem or 'heard'} {self.last_heard_at}"


class Endpoint(models.Model):
    """One endpoint out of a platform's version details."""

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


class DirectoryVersion(models.Model):
    """One row, raised when a transaction commits that has changed what the directory holds."""

    version = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return str(self.version)


class DirectoryChange(models.Model):
    """What a version of the directory has changed; the triggers write it, for an hour.

    `key` is the id of a platform (also for its endpoints and parties), an agreement or a recording.
    """

    pk = models.CompositePrimaryKey("version", "kind", "key")
    version = models.BigIntegerField()
    kind = models.CharField(max_length=9)
    key = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.version}: {self.kind} {self.key}"


class DirectoryReader(models.Model):
    """A web process and the directory version that it routes by."""

    worker = models.CharField(max_length=64, primary_key=True)
    version = models.BigIntegerField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.worker} at {self.version}"


class ForwardedUrlKind(models.TextChoices):
    """Which of the URLs that the hub must rewrite this stands for."""

    RESPONSE_URL = "RESPONSE_URL", "response_url of a command"
    PAGE = "PAGE", "next page of a list"
    LOCATION = "LOCATION", "Location of a CDR"


def _new_key() -> str:
    return token_urlsafe(24)


class ForwardedUrl(models.Model):
    """A URL of one party that another party must call through the hub.

    The key is unguessable and works for the caller's platform alone, more than once
    (mod_commands: a reservation that the CPO cancels is told on the same `response_url`).
    """

    key = models.CharField(max_length=32, primary_key=True, default=_new_key)
    kind = models.CharField(max_length=12, choices=ForwardedUrlKind)
    module = models.CharField(max_length=64)
    target = models.CharField(max_length=2048)
    caller = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="+")
    caller_country_code = models.CharField(max_length=2)
    caller_party_id = models.CharField(max_length=3)
    owner_country_code = models.CharField(max_length=2)
    owner_party_id = models.CharField(max_length=3)
    # Of the message that named the URL: what comes on it is part of that exchange.
    correlation_id = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    valid_until = models.DateTimeField(null=True, blank=True, db_index=True)
    # The last word that was POSTed to it, where it is a command's.
    result = models.CharField(max_length=40, blank=True, default="", db_default="")
    # "DE-MSP": the party whose message it was given out for, which may have so many.
    sender = models.CharField(max_length=6, blank=True, default="", db_default="")
    # Of a CDR's Location: which CDR, in upper case.
    object_id = models.CharField(max_length=39, blank=True, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(kind="LOCATION"),
                name="forwarded_url_locations",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key[:6]}…"

    @property
    def caller_identity(self) -> PartyId:
        """Who was told this URL."""
        return PartyId(self.caller_country_code, self.caller_party_id)

    @property
    def owner_identity(self) -> PartyId:
        """Whose URL it stands for."""
        return PartyId(self.owner_country_code, self.owner_party_id)


class DeliveryState(models.TextChoices):
    """Where a push that the hub owes stands."""

    WAITING = "WAITING", "waiting"
    DELIVERED = "DELIVERED", "delivered"
    REFUSED = "REFUSED", "refused by the receiver"
    FAILED = "FAILED", "given up: receiver offline"
    DROPPED = "DROPPED", "dropped: there is nobody to send it to"


# Until somebody has them sent again (hub/resend.py).
GIVEN_UP = (DeliveryState.REFUSED, DeliveryState.FAILED, DeliveryState.DROPPED)


class Delivery(models.Model):
    """A message that the hub owes to a party, written in the transaction of its cause.

    Ordered by `id` among those of one receiver with the same `ordering_key`. Its foreign key is not
    checked by the database: each check would lock, and so write to, the row of the receiver
    (docs/decisions/0008). What is owed of a state is a `StaleCopy`.
    """

    receiver = models.ForeignKey(
        Platform,
        on_delete=models.CASCADE,
        related_name="deliveries",
        db_constraint=False,
        db_index=False,
    )
    ordering_key = models.CharField(max_length=160)
    module = models.CharField(max_length=64)
    method = models.CharField(max_length=6)
    # An endpoint of the receiver and what follows it, or the absolute URL of a callback.
    interface_role = models.CharField(max_length=8, blank=True)
    path = models.CharField(max_length=2048)
    body = models.BinaryField(default=b"")
    from_country_code = models.CharField(max_length=2, blank=True)
    from_party_id = models.CharField(max_length=3, blank=True)
    to_country_code = models.CharField(max_length=2, blank=True)
    to_party_id = models.CharField(max_length=3, blank=True)
    correlation_id = models.CharField(max_length=255)
    # Of a Session: the eMSP ("NL-MSP") that did not answer it (docs/decisions/0032).
    unanswered_by = models.CharField(max_length=6, blank=True, default="", db_default="")
    state = models.CharField(max_length=9, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    outcome = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    # The body is there: what was given up can be sent again for as long.
    is_kept = models.BooleanField("its body is kept", default=True, db_default=True)
    resent_at = models.DateTimeField("sent again", null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        # A waiting row is in the first alone, an ended one in the second alone.
        indexes = [
            models.Index(
                fields=["receiver", "module", "id"],
                name="delivery_waiting",
                condition=models.Q(state="WAITING"),
            ),
            models.Index(
                fields=["created_at"], name="delivery_ended", condition=~models.Q(state="WAITING")
            ),
            models.Index(
                fields=["receiver", "module", "id"],
                name="delivery_given_up",
                condition=models.Q(is_kept=True, state__in=GIVEN_UP),
            ),
            models.Index(fields=["ordering_key", "id"], name="delivery_by_key"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.module} to {self.receiver_id}: {self.state}"


class OneTimePassword(models.Model):
    """Marks an operator whose password was printed or handed over and must be replaced."""

    user = models.OneToOneField(
        "auth.User", on_delete=models.CASCADE, primary_key=True, related_name="one_time_password"
    )
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"one-time password of {self.user_id}"


class Erasure(models.Model):
    """That the data of one driver were erased: who did it, when, what; never whose they were."""

    erased_at = models.DateTimeField(default=timezone.now, db_index=True)
    erased_by = models.CharField(max_length=150)
    emsp = models.CharField("eMSP", max_length=6)
    # Keyed with the hub's secret: shows that a token was meant to whoever has that token.
    token_hash = models.CharField(max_length=64)
    are_cdrs_deleted = models.BooleanField("CDRs deleted")
    counts = models.JSONField(default=dict)
    left = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"a driver of {self.emsp}, {self.erased_at:%Y-%m-%d}"


def callback_valid_until(days: int) -> datetime:
    """When a rewritten callback URL ends."""
    return timezone.now() + timedelta(days=days)
