"""Who may see what of the objects that are told to many (GET All; each module's chapter)."""

from collections.abc import Mapping
from typing import Any

from django.db import models

from hub.db import sql
from hub.ocpi.datatypes import ConnectionStatus
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.party import PartyId
from hub.routing.directory import Directory
from hub.store.pushed import ENDED, EVERYBODY, ITS_OWNER
from hub.store.store import StoredObject


def shared_with(
    kind: type[StoredObject], viewer: PartyId, directory: Directory
) -> "models.QuerySet[Any]":
    """The objects that `viewer` may see: its own variants, or else what was broadcast.

    Only of owners that may exchange this module with it, and are not suspended. A variant without
    a document says that the viewer alone was told of the object's end.
    """
    key = (kind, viewer, *_exceptions(kind, viewer))
    if key not in directory.memo:
        directory.memo[key] = _shared_with(*key, directory)
    # Never evaluated itself: each `all` is a query of its own.
    rows: models.QuerySet[Any] = directory.memo[key].all()
    return rows


def _shared_with(
    kind: type[StoredObject],
    viewer: PartyId,
    has_variants: bool,
    has_told: bool,
    directory: Directory,
) -> "models.QuerySet[Any]":
    rows: models.QuerySet[Any] = kind._default_manager.filter(audience__in=[EVERYBODY, str(viewer)])
    if has_variants:
        rows = rows.exclude(pk__in=_hidden(kind, viewer).values("pk"))
        rows = rows.exclude(audience=str(viewer), document=ENDED)
    module = kind._meta.app_label.removeprefix("ocpi_")
    visible = {
        str(owner): owner == viewer
        or (
            entry.status != ConnectionStatus.SUSPENDED
            and entry.is_agreed
            and directory.closed_because(owner, viewer, module) is None
        )
        for owner, entry in directory.parties.items()
    }
    closed = [owner for owner, may_see in visible.items() if not may_see]
    if has_told:
        told = models.Q(told_by=ITS_OWNER) | models.Q(told_by__in=_tellers(visible, directory))
        rows = rows.filter(told)
    if directory.open_by_default:
        return rows.exclude(owner__in=closed) if closed else rows
    shown = models.Q(owner__in=[owner for owner, may_see in visible.items() if may_see])
    if has_told:
        # What an aggregator with an agreement tells of owners that are not parties here.
        shown |= ~models.Q(told_by=ITS_OWNER) & ~models.Q(owner__in=closed)
    return rows.filter(shown)


def _hidden(kind: type[StoredObject], viewer: PartyId) -> "models.QuerySet[Any]":
    """The broadcast rows of objects of which the viewer itself was told something."""
    same = {column: models.OuterRef(column) for column in kind.IDENTITY}
    own = kind._default_manager.filter(audience=str(viewer), **same)
    return kind._default_manager.filter(models.Exists(own), audience=EVERYBODY)


def _tellers(visible: Mapping[str, bool], directory: Directory) -> list[str]:
    """The marked aggregators whose objects the viewer may see."""
    return [
        str(identity)
        for identity, entry in directory.parties.items()
        if entry.platform.is_aggregator and visible[str(identity)]
    ]


def _exceptions(kind: type[StoredObject], viewer: PartyId) -> tuple[bool, bool]:
    """Whether this party alone was told anything, and whether an aggregator told anything.

    Both are rare, and needed for each message.
    """
    table = kind._meta.db_table
    query = (
        f"SELECT EXISTS (SELECT FROM {table} WHERE audience = %s AND audience <> ''), "  # noqa: S608 - a table of ours
        f"EXISTS (SELECT FROM {table} WHERE told_by <> '')"
    )
    has_variants, has_told = sql.run(query, [str(viewer)])[0]
    return has_variants, has_told


def only(rows: "models.QuerySet[Any]", what: str) -> Any:
    """The one object that an id names to this viewer.

    NotFound (404) for none; InvalidParameters (2001) when several owners use the id.
    """
    found = list(rows.order_by("id")[:10])
    if not found:
        raise NotFound(f"There is no {what} that you may see here.")
    if len(owners := sorted({str(one.owner) for one in found})) > 1:
        raise InvalidParameters(
            f"{what} exists at {' and '.join(owners)}. Name its owner in OCPI-to."
        )
    return found[0]
