"""What a pulled page's objects are to the hub: kept, and to be told to others like a push.

transport_and_format, Client Owned Object Pull, GET List: "all the pages together is the new truth".
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import msgspec
from django.db.models import Q

from hub.db import sql
from hub.deviations import noting
from hub.models import quotas
from hub.models.pulls import Pull, Untold
from hub.ocpi import headers, heads
from hub.ocpi.datatypes import Role
from hub.ocpi.errors import OcpiError
from hub.ocpi.extensions import carrier_listed, without
from hub.ocpi.modules import AGGREGATED, DATA_OWNERS, DELETABLE, SECRET_IDS, TYPED
from hub.ocpi.party import PartyId
from hub.ocpi.reading import UnusableObject, read
from hub.routing.directory import Directory
from hub.routing.receivers import EMSP_LIKE
from hub.store.broadcast_push import LONGEST_ID
from hub.store.kinds import broadcast_kinds
from hub.store.pushed import EVERYBODY, ITS_OWNER
from hub.store.store import StoredObject, Whole
from hub.sync.pulled_page import PulledPage

logger = logging.getLogger("hub.pulled")  # As docs/operations.md says.


def roles_with(module: str) -> frozenset[Role]:
    """In which roles a party has such a list."""
    owner = DATA_OWNERS[module]
    return EMSP_LIKE if owner in EMSP_LIKE else frozenset({owner})


@dataclass(frozen=True, slots=True)
class _Object:
    """One valid object of the page, with what names it as its owner spells it."""

    whole: Whole
    owner: PartyId
    segments: tuple[str, str, str]
    query: dict[str, str]
    last_updated: datetime
    told_by: str = ITS_OWNER

    def told(self, method: str) -> list[Any]:
        """The object as `Untold` remembers it."""
        variant = self.query.get("type", "")
        return [method, str(self.owner), list(self.segments), variant, self.told_by]


def objects_of(pull: Pull, page: PulledPage, directory: Directory) -> list[_Object]:
    """The page's objects, each once; what is not kept of it is counted in `pull`."""
    kind = broadcast_kinds()[pull.module]
    platform = directory.platforms[pull.platform_id]
    is_aggregated = platform.is_aggregator and pull.module in AGGREGATED
    found: dict[tuple[str, ...], _Object] = {}
    for place, item in enumerate(page.items):
        one = _read(bytes(item), kind, pull, place, is_strict=platform.is_strict)
        if one is None:
            pull.bad += 1
        elif (is_foreign := one.owner not in platform.parties) and not is_aggregated:
            pull.foreign += 1
        elif (
            twin := found.get(one.whole.identity)
        ) is None or twin.whole.last_updated <= one.whole.last_updated:
            pull.unchanged += twin is not None
            told_by = str(pull.identity) if is_foreign else ITS_OWNER
            found[one.whole.identity] = replace(one, told_by=told_by)
        else:
            pull.unchanged += 1
    return list(found.values())


def keep(pull: Pull, objects: Sequence[_Object], correlation_id: str) -> Untold | None:
    """Store what is new, in the caller's transaction; count in `pull`. Returns what is to be told.

    The first run tells nobody: what was there before the party came is not a change.
    """
    if not objects:
        return None
    kind, since = broadcast_kinds()[pull.module], _begun()
    left_out: list[Whole] = []
    news = [
        whole.identity
        for told_by in (ITS_OWNER, str(pull.identity))
        for whole in kind.keep_changed(
            [one.whole for one in objects if one.told_by == told_by], told_by, left_out
        )
    ]
    pull.stored += len(news)
    pull.over_quota += len(left_out)
    pull.unchanged += len(objects) - len(news) - len(left_out)
    # The times of the objects themselves, as the party's filter sees them.
    latest = max(one.last_updated for one in objects)
    pull.seen_until = latest if pull.seen_until is None else max(pull.seen_until, latest)
    if pull.date_from is None and pull.module in DELETABLE:
        _mark_as_seen(kind, [one.whole for one in objects], pull)
    named = set(news)
    told = [one.told("PUT") for one in objects if one.whole.identity in named]
    return _untold(pull, told, since, correlation_id)


def _begun() -> datetime:
    """When the transaction began: nothing in it is older."""
    [(begun,)] = sql.run("SELECT now()")
    assert isinstance(begun, datetime)  # noqa: S101 - narrows for mypy
    return begun


def _untold(
    pull: Pull, told: list[list[Any]], since: datetime, correlation_id: str
) -> Untold | None:
    if pull.is_first or not told:
        return None
    return Untold.objects.create(
        module=pull.module, correlation_id=correlation_id, since=since, objects_told=told
    )


def _read(
    document: bytes, kind: type[StoredObject], pull: Pull, place: int, *, is_strict: bool
) -> _Object | None:
    """An object that the hub can answer for; None, and a log line with its id, for another."""
    try:
        if (carrier := carrier_listed(pull.module)) is not None:
            # A list has no receiver that agreed on them.
            document = without(carrier, document)
        found = read(document, kind.ESSENTIALS)
        if is_strict:
            found.refuse_deviations()
        sent = found.sent
        owner = PartyId.of(sent.country_code, sent.party_id)
        key = _key(str(getattr(sent, kind.KEY)))
    except (OcpiError, ValueError) as error:
        logger.warning("%s: %s is skipped: %s", pull, _name(document, pull.module, place), error)
        if isinstance(error, UnusableObject):
            noting.note(pull.platform_id, [error.difference.deviation])
        return None
    noting.note(pull.platform_id, found.deviations)
    query = {"type": sent.type.value} if pull.module in TYPED else {}
    identity = (str(owner), key.upper(), *query.values())
    return _Object(
        kind.whole(identity, document, found),
        owner,
        (sent.country_code, sent.party_id, key),
        query,
        found.last_updated,
    )


def _key(text: str) -> str:
    """The id as it can stand in a URL; ValueError for what cannot name an object."""
    if not (text and text.isascii() and text.isprintable() and len(text) <= LONGEST_ID):
        raise ValueError("its id is not a CiString(36)")
    return text


class _Named(msgspec.Struct):
    id: str = ""


def _name(document: bytes, module: str, place: int) -> str:
    """How the log names an object: a Token's uid would let its reader charge."""
    if module not in SECRET_IDS:
        try:
            if found := msgspec.json.decode(document, type=_Named).id:
                return repr(found[:40])
        except (msgspec.DecodeError, RecursionError):
            pass  # Then it is named by its place in the page.
    return f"object {place} of a page"


# --- What is gone --------------------------------------------------------------------------------


def _mark_as_seen(kind: type[StoredObject], objects: list[Whole], pull: Pull) -> None:
    """A full run notes which Tariffs it has met, so that its end finds those that are gone."""
    kind._default_manager.filter(
        owner__in={one.identity[0] for one in objects},
        object_id__in=[one.identity[1] for one in objects],
        audience=EVERYBODY,
        received_at__lt=pull.begun_at,
    ).update(received_at=pull.begun_at)


def remove_gone(pull: Pull) -> Untold | None:
    """At the end of a complete full run: forget the Tariffs that the party's list no longer has.

    Tariffs alone can be deleted in OCPI. Not where an object of the list could not be read, which
    may be the missing one; nor where the list was empty, which is more likely a fault.
    """
    if pull.module not in DELETABLE:
        return None
    kind = broadcast_kinds()[pull.module]
    own = kind._default_manager.filter(
        Q(owner=str(pull.identity), told_by=ITS_OWNER) | Q(told_by=str(pull.identity)),
        audience=EVERYBODY,
    )
    if pull.bad or not own.filter(received_at__gte=pull.begun_at):
        return None
    gone = own.filter(received_at__lt=pull.begun_at)
    told, since = [], _begun()
    for row in gone.select_for_update().order_by("id"):
        sent = _owned(bytes(row.document))
        segments = [heads.text(sent.country_code), heads.text(sent.party_id), heads.text(sent.id)]
        told.append(["DELETE", row.owner, segments, "", row.told_by])
        row.delete()
        quotas.add(row.told_by or row.owner, kind.MODULE, -1)
        pull.removed += 1
    return _untold(pull, told, since, headers.new_id())


class _Owned(msgspec.Struct):
    country_code: Any = None
    party_id: Any = None
    id: Any = None


_owned: Final = heads.reader(_Owned)
