"""The directory: who is connected, where, and may exchange what, as an immutable snapshot.

Routing reads it on every message, so it is in memory. A change of its tables raises its version at
the commit, notes what was changed (`DirectoryChange`) and notifies the web processes; the next
snapshot is the last one with what has changed since (hub/routing/directory_rows.py).
"""

import logging
import math
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection

from hub.db import secret_box, sql
from hub.models import DirectoryReader, Party, Platform
from hub.ocpi import headers
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.extensions import AGREED_AS
from hub.ocpi.party import PartyId
from hub.routing import directory_rows
from hub.routing.directory_rows import Rows

logger = logging.getLogger(__name__)
READER_IS_ALIVE = timedelta(seconds=15)
# A web process confirms at least this often that it lives.
TELL_AGAIN = 2.0  # seconds
_TELL = f"""
    INSERT INTO hub_directoryreader (worker, version, seen_at)
    VALUES (%(worker)s, %(version)s, statement_timestamp())
    ON CONFLICT (worker) DO UPDATE SET version = excluded.version, seen_at = excluded.seen_at
    RETURNING {sql.SOON}
"""  # noqa: S608 - names of ours
_BEHIND = """
    SELECT EXISTS (
        SELECT FROM hub_directoryreader
        WHERE seen_at > statement_timestamp() - %(alive)s AND version < %(version)s
    )
"""
CONFIRMATION_WAIT = 1.0  # seconds
# Spellings of Authorization headers that a snapshot remembers; a few for each platform, and none
# that is longer than a token (string(64)) in Base64 can make it.
_MOST_PRESENTED = 10_000
_MOST_OF_A_PLATFORM = 4
_LONGEST_PRESENTED = 128


_AgreementKey = tuple[frozenset[PartyId], str]


@dataclass(frozen=True, slots=True)
class PlatformEntry:
    """A platform as routing sees it."""

    id: int
    name: str
    is_registered: bool
    authorization: str
    versions_url: str
    endpoints: dict[tuple[str, InterfaceRole], str]
    # Those that the operator has agreed to and that have not left; mere claims open nothing.
    parties: tuple[PartyId, ...]
    # The version of OCPI that it speaks, on all of its endpoints; "" before its first handshake.
    ocpi_version: str = ""
    pushes_per_second: float | None = None
    is_strict: bool = False
    requests_per_second: float | None = None
    # For a platform that leaves out what deviates: since when it is here; None for the others.
    leaves_out_since: datetime | None = None
    is_aggregator: bool = False
    claims: tuple[PartyId, ...] = ()
    # Whether some party of it is here and not suspended, and whether some party is OFFLINE.
    is_open: bool = True
    is_away: bool = False
    # Until then (time.time()) its token is written in no other form (hub/parties/token_forms.py).
    other_form_not_before: float = 0.0
    token_hashes: tuple[bytes, ...] = field(default=(), repr=False)

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
class KnownToken:
    """The platform whose credentials token was presented, and whether it is a TOKEN_A."""

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
    tokens: dict[bytes, KnownToken] = field(repr=False)
    agreements: dict[_AgreementKey, tuple[bool, str]]
    # Whose messages are recorded with their bodies, and until when (time.time()).
    recorded_bodies: dict[PartyId, float] = field(default_factory=dict)
    # By the ids of their rows.
    agreement_keys: dict[int, _AgreementKey] = field(default_factory=dict, repr=False)
    # Headers that were right once: decoding and hashing them again would give the same.
    _presented: dict[str, KnownToken] = field(default_factory=dict, repr=False)
    _spellings: dict[int, int] = field(default_factory=dict, repr=False)
    # Results that others have computed from this snapshot; they live as long as it does.
    memo: dict[Any, Any] = field(default_factory=dict, repr=False, init=False)

    def authenticate(self, authorization_header: str) -> KnownToken | None:
        """Whose token this is; the Base64 and the plain form are both tried."""
        if (known := self._presented.get(authorization_header)) is not None:
            return known
        for token, _ in headers.presented_tokens(authorization_header):
            found = self.tokens.get(secret_box.token_hash(token))
            if found is not None:
                self._remember(authorization_header, found)
                return found
        return None

    def _remember(self, authorization_header: str, found: KnownToken) -> None:
        number = self._spellings.get(found.platform.id, 0)
        if (
            len(authorization_header) <= _LONGEST_PRESENTED
            and number < _MOST_OF_A_PLATFORM
            and len(self._presented) < _MOST_PRESENTED
        ):
            self._presented[authorization_header] = found
            self._spellings[found.platform.id] = number + 1

    def remember_of(self, former: "Directory", changed: Collection[int]) -> None:
        """Keep the headers that the former snapshot has seen, except these platforms'."""
        for header, found in list(former._presented.items()):
            if found.platform.id not in changed:
                self._remember(header, found)

    def name_of(self, platform_id: int) -> str:
        """What people call a platform, for the log."""
        entry = self.platforms.get(platform_id)
        return entry.name if entry else f"platform {platform_id}"

    def has_module(self, identifier: str) -> bool:
        """Whether any platform offers a module of this name."""
        if "modules" not in self.memo:
            self.memo["modules"] = {
                module for platform in self.platforms.values() for module, _ in platform.endpoints
            }
        return identifier in self.memo["modules"]

    def records_bodies(self, *parties: PartyId | str | None) -> bool:
        """Whether the bodies of a message between them are kept now."""
        if not self.recorded_bodies:
            return False
        now = time.time()
        return any(until > now and who in parties for who, until in self.recorded_bodies.items())

    def extends(self, one: PartyId, other: PartyId) -> bool:
        """Whether these two agreed on extension fields (hub/ocpi/extensions.py)."""
        is_open, _ = self.agreements.get((frozenset((one, other)), AGREED_AS), (False, ""))
        return is_open

    @property
    def extending(self) -> frozenset[PartyId]:
        """Who agreed on extension fields with anybody."""
        if AGREED_AS not in self.memo:
            self.memo[AGREED_AS] = frozenset(
                party
                for (pair, module), (is_open, _) in self.agreements.items()
                if module == AGREED_AS and is_open
                for party in pair
            )
        found: frozenset[PartyId] = self.memo[AGREED_AS]
        return found

    def closed_because(self, one: PartyId, other: PartyId, module: str) -> str | None:
        """Why this pair may not exchange the module; None when it may.

        An agreement on the module comes before one on all modules, and that before the default.
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


def load() -> Directory:
    """Read a snapshot from the database, all of it."""
    return _built(None, directory_rows.read_all())


def _built(former: Directory | None, rows: Rows) -> Directory:
    """A snapshot out of the former one and what has changed since, or out of all rows."""
    if rows.is_whole:
        former = None
    platforms = dict(former.platforms) if former else {}
    tokens = dict(former.tokens) if former else {}
    for platform_id in rows.platform_ids & platforms.keys():
        for digest in platforms.pop(platform_id).token_hashes:
            tokens.pop(digest, None)
    _add_platforms(rows, platforms, tokens)
    agreements, agreement_keys = _agreements(former, rows)
    built = Directory(
        version=rows.version,
        hub=PartyId.of(settings.HUB_COUNTRY_CODE, settings.HUB_PARTY_ID),
        open_by_default=settings.AGREEMENTS_OPEN_BY_DEFAULT,
        platforms=platforms,
        parties=_parties(former, rows, platforms),
        tokens=tokens,
        agreements=agreements,
        recorded_bodies=_recorded_bodies(former, rows),
        agreement_keys=agreement_keys,
    )
    if former is not None:
        built.remember_of(former, rows.platform_ids)
    return built


def _parties(
    former: Directory | None, rows: Rows, platforms: dict[int, PlatformEntry]
) -> dict[PartyId, PartyEntry]:
    """All parties: those that were read, and the former ones of the other platforms.

    Who was there before keeps its place in the order.
    """
    found = _parties_of(rows, platforms)
    kept = {
        identity: entry
        for identity, entry in (former.parties if former else {}).items()
        if identity in found or entry.platform.id not in rows.platform_ids
    }
    return kept | found


def _recorded_bodies(former: Directory | None, rows: Rows) -> dict[PartyId, float]:
    if rows.recordings is None and former is not None:
        return former.recorded_bodies
    return {one.party: one.until.timestamp() for one in rows.recordings or ()}


def _add_platforms(
    rows: Rows, platforms: dict[int, PlatformEntry], tokens: dict[bytes, KnownToken]
) -> None:
    endpoints: dict[int, dict[tuple[str, InterfaceRole], str]] = {}
    for endpoint in rows.endpoints:
        key = (endpoint.identifier, InterfaceRole(endpoint.role))
        endpoints.setdefault(endpoint.platform_id, {})[key] = endpoint.url
    hosted: dict[int, list[Party]] = {}
    for party in rows.parties:
        hosted.setdefault(party.platform_id, []).append(party)
    for platform in rows.platforms:
        entry = _entry(platform, endpoints.get(platform.pk, {}), hosted.get(platform.pk, []))
        platforms[platform.pk] = entry
        for digest, is_token_a in ((platform.token_a_hash, True), (platform.token_c_hash, False)):
            if digest is not None:
                tokens[bytes(digest)] = KnownToken(entry, is_token_a)


def _entry(
    platform: Platform, endpoints: dict[tuple[str, InterfaceRole], str], own: list[Party]
) -> PlatformEntry:
    parties = dict.fromkeys(p.identity for p in own if p.is_agreed and not p.is_withdrawn)
    claims = dict.fromkeys(p.identity for p in own if not p.is_agreed)
    return PlatformEntry(
        id=platform.pk,
        name=platform.name,
        is_registered=platform.is_registered,
        authorization=authorization(platform),
        versions_url=platform.versions_url,
        endpoints=endpoints,
        parties=tuple(parties),
        ocpi_version=platform.ocpi_version,
        pushes_per_second=platform.pushes_per_second,
        is_strict=platform.is_strict,
        requests_per_second=platform.requests_per_second,
        leaves_out_since=platform.registered_at if platform.leaves_out_deviations else None,
        is_aggregator=platform.is_aggregator,
        claims=tuple(claims.keys() - parties.keys()),
        is_open=any(party.status in _OPEN for party in own),
        is_away=any(party.status == ConnectionStatus.OFFLINE for party in own),
        other_form_not_before=_other_form_not_before(platform),
        token_hashes=tuple(
            bytes(digest)
            for digest in (platform.token_a_hash, platform.token_c_hash)
            if digest is not None
        ),
    )


def _parties_of(rows: Rows, platforms: dict[int, PlatformEntry]) -> dict[PartyId, PartyEntry]:
    """The parties of the platforms that were read, without those that are only claimed."""
    roles: dict[PartyId, list[Party]] = {}
    for party in rows.parties:
        roles.setdefault(party.identity, []).append(party)
    return {
        identity: PartyEntry(
            identity=identity,
            country_code=found[0].country_code,
            party_id=found[0].party_id,
            roles=frozenset(Role(party.role) for party in found if party.is_active),
            status=_status(found),
            is_agreed=True,
            platform=platforms[found[0].platform_id],
        )
        for identity, found in roles.items()
        if any(party.is_agreed for party in found)
    }


def _agreements(
    former: Directory | None, rows: Rows
) -> tuple[dict[_AgreementKey, tuple[bool, str]], dict[int, _AgreementKey]]:
    if former is not None and not rows.agreement_ids:
        return former.agreements, former.agreement_keys
    words = {} if former is None else dict(former.agreements)
    keys = {} if former is None else dict(former.agreement_keys)
    for agreement_id in rows.agreement_ids & keys.keys():
        words.pop(keys.pop(agreement_id), None)
    for agreement in rows.agreements:
        key = (frozenset(agreement.pair), agreement.module)
        keys[agreement.pk] = key
        words[key] = (agreement.is_open, agreement.note)
    return words, keys


def _status(roles: list[Party]) -> ConnectionStatus:
    """The status of a party with several roles: suspended by the operator, else the best one.

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
    """The version of the directory in the database."""
    found = sql.run("SELECT version FROM hub_directoryversion")
    return int(found[0][0]) if found else 0


class DirectoryHolder:
    """The snapshot of this process, replaced when the database says that it changed."""

    # How long a process without a listener (Celery, manage.py) trusts its snapshot.
    TRUST = 0.5

    def __init__(self) -> None:
        self._snapshot: Directory | None = None
        self._looked_at = 0.0
        self._lock = threading.Lock()
        self._told = -1
        self._told_at = 0.0

    @property
    def snapshot(self) -> Directory:
        """The last loaded snapshot; touches no database."""
        if self._snapshot is None:
            raise RuntimeError("the directory has not been loaded yet")
        return self._snapshot

    @property
    def snapshot_if_loaded(self) -> Directory | None:
        """The snapshot or None, for callers that can do without; touches no database either."""
        return self._snapshot

    def refresh(self) -> Directory:
        """Take in what has changed since the last look."""
        with self._lock:
            return self._look()

    def current(self) -> Directory:
        """The snapshot, at most TRUST seconds behind the database.

        It may be a little older while another thread takes longer to look.
        """
        if self._snapshot is None:
            return self.refresh()
        if time.monotonic() - self._looked_at > self.TRUST and self._lock.acquire(
            timeout=self.TRUST
        ):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._snapshot

    def _look(self) -> Directory:
        known, began = self._snapshot, time.monotonic()
        if known is None:
            self._snapshot = load()
        # A query of its own: without a change, a locked table of the directory delays nobody.
        elif current_version() != known.version:
            rows = directory_rows.read_changed(known.version)
            self._snapshot = _built(known, rows)
        self._looked_at = began
        assert self._snapshot is not None  # noqa: S101 - narrows for mypy
        return self._snapshot

    def confirm(self, worker: str) -> None:
        """Refresh, and tell the others by which version this web process routes."""
        close_old_connections()
        snapshot = self.refresh()
        now = time.monotonic()
        if snapshot.version != self._told or now - self._told_at > TELL_AGAIN:
            sql.run(_TELL, {"worker": worker, "version": snapshot.version})
            self._told, self._told_at = snapshot.version, now

    def leave(self, worker: str) -> None:
        """This web process ends, so nobody has to wait for its confirmation."""
        DirectoryReader.objects.filter(worker=worker).delete()
        connection.close()


holder = DirectoryHolder()


def is_confirmed(version: int) -> bool:
    """Whether every live web process routes by this version, or a later one."""
    return not sql.run(_BEHIND, {"version": version, "alive": READER_IS_ALIVE})[0][0]


def wait_until_confirmed() -> bool:
    """Wait until every live web process routes by what is committed now, at most a second.

    Called before rotation, DELETE of credentials and suspension are answered. Returns whether all
    have confirmed; a process that does not is hung, and restarted by its supervisor.
    """
    version = current_version()
    deadline = time.monotonic() + CONFIRMATION_WAIT
    while not is_confirmed(version):
        if time.monotonic() > deadline:
            logger.warning("not every web process confirmed directory version %s", version)
            return False
        time.sleep(0.01)
    return True
