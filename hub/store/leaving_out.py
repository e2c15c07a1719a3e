"""Objects that deviate, left out for the platforms that want none (GET All, Broadcast Push).

A Location or Tariff whose document differs from the text anywhere is neither in the lists of such a
platform nor pushed to it, so that one odd object never spoils a page. Never left out are a Token,
a DELETE, one's own objects, and an object that the platform holds already: it goes on getting that
as it is. It holds an object when
- the hub had it without deviations at a time when the platform was registered already, or
- a push of it waits for the platform when the switch is turned on, or its owner has sent one to
  this party alone (`Holding`).
Odd objects that it has read in lists do not count, since it may not have been able to read them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from django.db import models, transaction

from hub.db import sql
from hub.deviations import left_out_counts
from hub.deviations.models import Holding
from hub.models import Platform
from hub.models.stale_copies import CopyState
from hub.routing import directory as directories
from hub.routing.directory import Directory, PartyEntry, PlatformEntry
from hub.store.pushed import ENDED, EVERYBODY, Pushed
from hub.store.sharing import shared_with
from hub.store.store import StoredObject


class Standing(NamedTuple):
    """The fields of a stored object that decide who is told of it."""

    deviates: bool
    clean_until: datetime | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The receivers of a push as it came, and those that need the whole object that they lacked."""

    as_pushed: Sequence[PartyEntry]
    whole: Sequence[PartyEntry] = ()


# --- Lists ---------------------------------------------------------------------------------------


def left_out(kind: type[models.Model], platform: PlatformEntry) -> "models.QuerySet[Any] | None":
    """The stored objects that are left out for a platform; None if there are none."""
    since = platform.leaves_out_since
    if since is None or not (issubclass(kind, StoredObject) and kind.MAY_BE_LEFT_OUT):
        return None
    own = [str(party) for party in platform.parties]
    held = Holding.objects.filter(
        platform_id=platform.id,
        module=kind.MODULE,
        owner=models.OuterRef("owner"),
        object_id=models.OuterRef("object_id"),
    )
    return (
        kind._default_manager.filter(deviates=True, audience=EVERYBODY)
        .filter(models.Q(clean_until__isnull=True) | models.Q(clean_until__lt=since))
        .exclude(owner__in=own)
        .exclude(told_by__in=own)  # Objects that an aggregator has told.
        .exclude(models.Exists(held))
    )


def listed(rows: "models.QuerySet[Any]", platform: PlatformEntry) -> "models.QuerySet[Any]":
    """Those of these objects that the platform is shown in a list, or sent again."""
    odd = left_out(rows.model, platform)
    return rows if odd is None else rows.exclude(pk__in=odd.values("pk"))


def count_in_list(rows: "models.QuerySet[Any]", platform: PlatformEntry) -> None:
    """Count what a list of `rows` does not show to the platform."""
    odd = left_out(rows.model, platform)
    if odd is not None:
        missing = rows.filter(pk__in=odd.values("pk")).order_by()
        for owner in missing.values_list("owner", flat=True).distinct():
            left_out_counts.note(platform.id, owner, rows.model.MODULE, lists=1)


def left_out_now(
    kind: type[StoredObject], platform: PlatformEntry, directory: Directory
) -> "models.QuerySet[Any] | None":
    """Those of them that the platform's parties would see otherwise."""
    odd = left_out(kind, platform)
    if odd is None:
        return None
    seen = models.Q(pk__in=[])
    for party in platform.parties:
        seen |= models.Q(pk__in=shared_with(kind, party, directory).values("pk"))
    return odd.filter(seen)


# --- Pushes --------------------------------------------------------------------------------------


def standing(
    kind: type[StoredObject], pushed: Pushed, receivers: Iterable[PartyEntry]
) -> Standing | None:
    """The state of an object before a push changes it; None if it decides nothing.

    In the caller's transaction, in which nobody else changes the object from now on.
    """
    is_whole = pushed.method != "PATCH" and len(pushed.ids) == 1
    if is_whole or not _selective(kind, pushed, receivers):
        return None  # A platform that lacked it gets all of it now.
    identity = kind.identity(pushed)
    kind.lock(identity)
    return _standing(kind, identity)


def choose(
    kind: type[StoredObject],
    pushed: Pushed,
    receivers: Sequence[PartyEntry],
    before: Standing | None = None,
) -> Choice:
    """The receivers of a push that is kept; those left out are counted when it is committed."""
    identity = kind.identity(pushed)
    if pushed.method == "DELETE" and kind.MAY_BE_LEFT_OUT:
        _holdings(kind, identity).delete()
    if not _selective(kind, pushed, receivers):
        return Choice(receivers)
    after = _standing(kind, identity)
    holders = set(_holdings(kind, identity).values_list("platform_id", flat=True))
    as_pushed: list[PartyEntry] = []
    whole: list[PartyEntry] = []
    for entry in receivers:
        if entry.platform.id in holders or not _is_odd(after, entry):
            lacked = entry.platform.id not in holders and _is_odd(before, entry)
            (whole if lacked else as_pushed).append(entry)
        else:
            note = partial(left_out_counts.note, pushes=1)
            transaction.on_commit(
                partial(note, entry.platform.id, identity["owner"], kind.MODULE), robust=True
            )
    return Choice(as_pushed, whole)


def _selective(
    kind: type[StoredObject], pushed: Pushed, receivers: Iterable[PartyEntry]
) -> list[PartyEntry]:
    """The receivers that this push may be left out for."""
    if not kind.MAY_BE_LEFT_OUT or pushed.method == "DELETE":
        return []
    return [one for one in receivers if one.platform.leaves_out_since is not None]


def _standing(kind: type[StoredObject], identity: dict[str, str]) -> Standing | None:
    found = kind.named(identity).filter(audience=EVERYBODY)
    row = found.values_list("deviates", "clean_until").first()
    return None if row is None else Standing(*row)


def _is_odd(stands: Standing | None, entry: PartyEntry) -> bool:
    """Whether an object is left out for a platform that has taken no push of it."""
    since = entry.platform.leaves_out_since
    if since is None or stands is None or not stands.deviates:
        return False
    return stands.clean_until is None or stands.clean_until < since


def _holdings(
    kind: type[StoredObject], identity: dict[str, str]
) -> "models.QuerySet[Holding, Holding]":
    return Holding.objects.filter(
        module=kind.MODULE, owner=identity["owner"], object_id=identity["object_id"]
    )


def took(kind: type[StoredObject], pushed: Pushed, receiver: PartyEntry | None) -> None:
    """Remember that a party has taken a push that its owner sent to it alone."""
    if receiver is None or receiver.platform.leaves_out_since is None or not kind.MAY_BE_LEFT_OUT:
        return
    identity = kind.identity(pushed)
    if pushed.method == "DELETE":
        _holdings(kind, identity).filter(platform_id=receiver.platform.id).delete()
    else:
        Holding.objects.bulk_create(
            [
                Holding(
                    platform_id=receiver.platform.id,
                    module=kind.MODULE,
                    owner=identity["owner"],
                    object_id=identity["object_id"],
                )
            ],
            ignore_conflicts=True,
        )


# --- The switch ----------------------------------------------------------------------------------


def switch(platform: Platform, kinds: Iterable[type[StoredObject]], *, on: bool) -> bool:
    """Leave out what deviates for a platform, or stop doing so.

    Returns whether all web processes have confirmed it. What was left out is not sent when it is
    turned off: a replay does that (hub/sync/replay.py).
    """
    with transaction.atomic():
        Holding.objects.filter(platform=platform).delete()
        if on:
            _remember(platform, kinds)
        platform.leaves_out_deviations = on
        platform.save(update_fields=["leaves_out_deviations"])
    confirmed = directories.wait_until_confirmed()
    if on:
        # What was broadcast by processes that did not know of it yet.
        _remember(platform, kinds)
    return confirmed


def explained(platform: Platform) -> str:
    """The meaning of the switch from now on, for the person who has turned it."""
    if platform.leaves_out_deviations:
        return (
            f"{platform}: Locations and Tariffs that deviate are left out of its lists and pushes, "
            "except those that it holds already."
        )
    return (
        f"{platform}: what deviates is sent and listed as everything else. What was left out until "
        "now comes with its next change or list, or with a replay."
    )


def _remember(platform: Platform, kinds: Iterable[type[StoredObject]]) -> None:
    """Objects that it will soon have although they deviate, and objects that it alone was told."""
    parties = [str(party.identity) for party in platform.parties.all()]
    for kind in kinds:
        module, table = kind.MODULE, kind._meta.db_table
        sql.run(
            f"""
            INSERT INTO deviations_holding (platform_id, module, owner, object_id)
            SELECT %(platform)s, %(module)s, owner, object_id FROM {table} AS kept
            WHERE kept.deviates AND kept.audience = '' AND EXISTS (
                SELECT FROM hub_stalecopy AS copy
                WHERE copy.receiver_id = %(platform)s AND copy.module = %(module)s
                  AND copy.owner = kept.owner AND copy.object_id = kept.object_id
                  AND copy.state = %(waiting)s)
            UNION
            SELECT %(platform)s, %(module)s, owner, object_id FROM {table}
            WHERE audience = ANY(%(parties)s::text[]) AND audience <> '' AND document <> %(ended)s
            ON CONFLICT DO NOTHING
            """,  # noqa: S608 - tables of ours
            {
                "platform": platform.pk,
                "module": module,
                "waiting": CopyState.WAITING.value,
                "parties": parties,
                "ended": ENDED,
            },
            prepare=False,
        )
