"""The directory: who is connected, where, and may exchange what, as an immutable snapshot.

Routing reads it on every message, so it is in memory. Triggers raise `DirectoryVersion` on every
change of its tables and notify the web processes; `Directory.current` also looks for itself.
"""

import logging
import math
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection
from django.utils import timezone

from hub import secret_box
from hub.models import (
    Agreement,
    DirectoryReader,
    DirectoryVersion,
    Endpoint,
    Party,
    Platform,
)
from hub.ocpi import headers
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.party import PartyId
from hub.record.models import BodyRecording

logger = logging.getLogger(__name__)
READER_IS_ALIVE = timedelta(seconds=15)
CONFIRMATION_WAIT = 1.0
# Spellings of Authorization headers that a snapshot remembers; a few for each platform, and none
# that is longer than a token (string(64)) in Base64 can make it.
_MOST_PRESENTED = 10_000
_MOST_OF_A_PLATFORM = 4
_LONGEST_PRESENTED = 128


@dataclass(frozen=True, slots=True)
class PlatformEntry:
    """A platform as routing sees it."""

    id: int
    name: str
    is_registered: bool
    authorization: str
    versions_url: str
    endpoints: dict[tuple[str, InterfaceRole], str]
    # That the operator wants here and that have not left; its only claims open nothing.
    parties: tuple[PartyId, ...]
    pushes_per_second: float | None = None
    is_strict: bool = False
    requests_per_second: float | None = None
    # Of one that leaves out what deviates: since when it is here; None for the others.
    leaves_out_since: datetime | None = None
    is_aggregator: bool = False
    claims: tuple[PartyId, ...] = ()
    # Some party of it is here and not suspended.
    is_open: bool = True
    # Until then (time.time()) its token is written in no other form (hub/token_forms.py).
    other_form_not_before: float = 0.0

    def endpoint(self, module: str, role: InterfaceRole) -> str | None:
        """The URL of its interface, or None when it does not offer it."""
        return self.endpoints.get((module, role))


@dataclass(frozen=True, slots=True)
class PartyEntry:
    """A party as routing sees it, with the roles that it has now and that are agreed to."""

    identity: PartyId
    country_code: str
    party_id: str
    roles: frozenset[Role]
    status: ConnectionStatus
    is_agreed: bool
    platform: PlatformEntry


@dataclass(frozen=True, slots=True)
class Presented:
    """Whose credentials token was presented."""

    platform: PlatformEntry
    is_token_a: bool


@dataclass(frozen=True, slots=True)
class Directory:
    """One snapshot; never changed, only replaced."""

    version: int
    hub: PartyId
    open_by_default: bool
    platforms: dict[int, PlatformEntry]
    parties: dict[PartyId, PartyEntry]
    tokens: dict[bytes, Presented] = field(repr=False)
    agreements: dict[tuple[frozenset[PartyId], str], tuple[bool, str]]
    # Whose messages are recorded with their bodies, and until when (time.time()).
    recorded_bodies: dict[PartyId, float] = field(default_factory=dict)
    # Headers that were right once: decoding and hashing them again would give the same.
    _presented: dict[str, Presented] = field(default_factory=dict, repr=False)
    _spellings: dict[int, int] = field(default_factory=dict, repr=False)
    # What others have worked out of this snapshot, for as long as it lasts.
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    def authenticate(self, authorization_header: str) -> Presented | None:
        """Whose token this is; the Base64 and the plain form are both tried."""
        if (known := self._presented.get(authorization_header)) is not None:
            return known
        for token, _ in headers.presented_tokens(authorization_header):
            found = self.tokens.get(secret_box.token_hash(token))
            if found is not None:
                self._remember(authorization_header, found)
                return found
        return None

    def _remember(self, authorization_header: str, found: Presented) -> None:
        number = self._spellings.get(found.platform.id, 0)
        if (
            len(authorization_header) <= _LONGEST_PRESENTED
            and number < _MOST_OF_A_PLATFORM
            and len(self._presented) < _MOST_PRESENTED
        ):
            self._presented[authorization_header] = found
            self._spellings[found.platform.id] = number + 1

    def has_module(self, identifier: str) -> bool:
        """Whether any platform offers a module of this name."""
        return any(
            (identifier, role) in platform.endpoints
            for platform in self.platforms.values()
            for role in InterfaceRole
        )

    def records_bodies(self, *parties: PartyId | str | None) -> bool:
        """Whether the bodies of a message between them are kept now."""
        if not self.recorded_bodies:
            return False
        now = time.time()
        return any(until > now and who in parties for who, until in self.recorded_bodies.items())

    def closed_because(self, one: PartyId, other: PartyId, module: str) -> str | None:
        """Why this pair may not exchange the module; None when it may.

        The word on the module goes before the word on all modules, that before the default.
        """
        pair = frozenset((one, other))
        for key in ((pair, module), (pair, "")):
            if (word := self.agreements.get(key)) is not None:
                is_open, note = word
                if is_open:
                    return None
                return note or f"the agreement between {one} and {other} is closed"
        if self.open_by_default:
            return None
        return f"{one} and {other} have no agreement"


def load(version: int | None = None) -> Directory:
    """Read a snapshot from the database."""
    if version is None:
        version = current_version()
    endpoints: dict[int, dict[tuple[str, InterfaceRole], str]] = {}
    for endpoint in Endpoint.objects.all():
        key = (endpoint.identifier, InterfaceRole(endpoint.role))
        endpoints.setdefault(endpoint.platform_id, {})[key] = endpoint.url
    rows: dict[PartyId, list[Party]] = {}
    hosted: dict[int, list[Party]] = {}
    for party in Party.objects.order_by("id"):
        rows.setdefault(party.identity, []).append(party)
        hosted.setdefault(party.platform_id, []).append(party)
    platforms = {}
    tokens = {}
    for platform in Platform.objects.all():
        own = hosted.get(platform.pk, [])
        parties = dict.fromkeys(p.identity for p in own if p.is_agreed and not p.is_withdrawn)
        claims = dict.fromkeys(p.identity for p in own if not p.is_agreed)
        entry = PlatformEntry(
            id=platform.pk,
            name=platform.name,
            is_registered=platform.is_registered,
            authorization=authorization(platform),
            versions_url=platform.versions_url,
            endpoints=endpoints.get(platform.pk, {}),
            parties=tuple(parties),
            pushes_per_second=platform.pushes_per_second,
            is_strict=platform.is_strict,
            requests_per_second=platform.requests_per_second,
            leaves_out_since=platform.registered_at if platform.leaves_out_deviations else None,
            is_aggregator=platform.is_aggregator,
            claims=tuple(claims.keys() - parties.keys()),
            is_open=any(party.status in _OPEN for party in own),
            other_form_not_before=_other_form_not_before(platform),
        )
        platforms[platform.pk] = entry
        for digest, is_token_a in (
            (platform.token_a_hash, True),
            (platform.token_c_hash, False),
        ):
            if digest is not None:
                tokens[bytes(digest)] = Presented(entry, is_token_a)
    return Directory(
        version=version,
        hub=PartyId.of(settings.HUB_COUNTRY_CODE, settings.HUB_PARTY_ID),
        open_by_default=settings.AGREEMENTS_OPEN_BY_DEFAULT,
        platforms=platforms,
        parties={
            identity: PartyEntry(
                identity=identity,
                country_code=found[0].country_code,
                party_id=found[0].party_id,
                roles=frozenset(Role(party.role) for party in found if party.is_active),
                status=_status(found),
                is_agreed=True,
                platform=platforms[found[0].platform_id],
            )
            for identity, found in rows.items()
            # What is only claimed is nobody here.
            if any(party.is_agreed for party in found)
        },
        tokens=tokens,
        agreements={
            (frozenset(agreement.pair), agreement.module): (agreement.is_open, agreement.note)
            for agreement in Agreement.objects.all()
        },
        recorded_bodies={
            recording.party: recording.until.timestamp()
            for recording in BodyRecording.objects.all()
        },
    )


def _status(roles: list[Party]) -> ConnectionStatus:
    """What holds for a party with several roles: suspended by the operator, else the best one.

    A role may have been left out of its credentials while the party goes on with another; what the
    operator has not agreed to does not count.
    """
    if any(role.is_suspended for role in roles):
        return ConnectionStatus.SUSPENDED
    found = {
        ConnectionStatus(role.status) for role in roles if role.is_agreed and not role.is_withdrawn
    }
    for status in (*_OPEN, ConnectionStatus.PLANNED):
        if status in found:
            return status
    return ConnectionStatus.SUSPENDED


_OPEN = (ConnectionStatus.CONNECTED, ConnectionStatus.OFFLINE)


def authorization(platform: Platform) -> str:
    """The Authorization header of calls to it; "" when it has no token that can be read."""
    if not platform.token_b_encrypted:
        return ""
    try:
        token = platform.token_b
    except secret_box.WrongKey:
        logger.exception("platform %s cannot be called", platform.pk)
        return ""
    return platform.form_in_use.authorization(token)


def _other_form_not_before(platform: Platform) -> float:
    if platform.fixed_token_form:
        return math.inf
    moment = platform.other_form_not_before
    return 0.0 if moment is None else moment.timestamp()


def current_version() -> int:
    """What the database says now."""
    return DirectoryVersion.objects.values_list("version", flat=True).first() or 0


class DirectoryHolder:
    """The snapshot of this process, replaced when the database says that it changed."""

    # How long a process without a listener (Celery, manage.py) trusts its snapshot.
    TRUST = 0.5

    def __init__(self) -> None:
        self._snapshot: Directory | None = None
        self._looked_at = 0.0
        self._lock = threading.Lock()

    @property
    def snapshot(self) -> Directory:
        """The last loaded snapshot; touches no database."""
        if self._snapshot is None:
            raise RuntimeError("the directory has not been loaded yet")
        return self._snapshot

    @property
    def snapshot_if_loaded(self) -> Directory | None:
        """For those who need none; touches no database either."""
        return self._snapshot

    def refresh(self) -> Directory:
        """Load again if the database has a newer version."""
        with self._lock:
            version = current_version()
            if self._snapshot is None or self._snapshot.version != version:
                self._snapshot = load(version)
            self._looked_at = time.monotonic()
            return self._snapshot

    def current(self) -> Directory:
        """The snapshot, at most TRUST seconds behind the database."""
        if self._snapshot is None or time.monotonic() - self._looked_at > self.TRUST:
            return self.refresh()
        return self._snapshot

    def confirm(self, worker: str) -> None:
        """Refresh, and tell the others by which version this web process routes."""
        close_old_connections()
        snapshot = self.refresh()
        DirectoryReader.objects.update_or_create(
            worker=worker, defaults={"version": snapshot.version, "seen_at": timezone.now()}
        )

    def leave(self, worker: str) -> None:
        """This web process ends: nobody need wait for its confirmation any more."""
        DirectoryReader.objects.filter(worker=worker).delete()
        connection.close()


holder = DirectoryHolder()


def wait_until_confirmed() -> bool:
    """Wait until every live web process routes by what is committed now, at most a second.

    Called before rotation, DELETE of credentials and suspension are answered. Returns whether all
    have confirmed; a process that does not is hung, and restarted by its supervisor.
    """
    version = current_version()
    deadline = time.monotonic() + CONFIRMATION_WAIT
    while DirectoryReader.objects.filter(
        seen_at__gt=timezone.now() - READER_IS_ALIVE, version__lt=version
    ).exists():
        if time.monotonic() > deadline:
            logger.warning("not every web process confirmed directory version %s", version)
            return False
        time.sleep(0.01)
    return True
