"""Extension fields that parties agreed on: kept, and given with the object (SCALE D2.3, 8.4.1.2).

The gateway takes them out of what comes in (hub/gateway/extended.py), so no copy of an object has
them. Who did not agree with their teller sees none (decision 0043).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from flex.models import PlaceExtension, SessionExtension
from hub.models import Delivery, DeliveryState
from hub.ocpi import extensions, heads, lenient
from hub.ocpi.comparison import plain
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.extensions import LONGEST, Carrier, Told
from hub.ocpi.party import PartyId
from hub.routing.directory import holder
from hub.routing.owners import in_url
from hub.routing.request import OcpiRequest
from locations.models import Location
from sessions.head import read
from sessions.models import Session
from sessions.visibility import MODULE
from tariffs.models import Tariff

_EVSE: Final = Carrier.EVSE
_LONGEST_ID: Final = 255
# Rows of one statement.
_BATCH: Final = 1000
_SETTLED: Final = timedelta(hours=1)


def keep(request: OcpiRequest) -> None:
    """Keep what came beside a message; `null`, or a list without its value, takes it back."""
    beside = request.beside
    carrier = extensions.carrier_of(request.place)
    if beside is None or carrier is None:
        return
    told = [one for one in beside.told if len(one.raw) <= LONGEST]
    if carrier in {Carrier.SESSION, Carrier.PREFERENCES}:
        session = _session(request, carrier) if told else None
        if session is not None:
            for one in told:
                _keep_of_session(request, one, session)
        return
    if in_url(request.place) != request.sender:
        return  # An aggregator has not agreed for those whose objects it tells.
    _keep_of_place(request, told)


def _session(request: OcpiRequest, carrier: Carrier) -> Session | None:
    """The session that it is of, where its teller may speak of it, and it is not an older word."""
    session_id = unquote(request.place.ids["session_id"])
    if carrier is Carrier.PREFERENCES:
        session = Session.find(request.receiver, session_id)
        return session if session is not None and session.emsp == request.sender else None
    if in_url(request.place) != request.sender:
        return None
    session = Session.find(request.sender, session_id)
    document = heads.object_of(request.body)
    if session is None or document is None:
        return None
    moment = lenient.moment(read(document).last_updated)
    return None if moment is not None and moment < session.last_updated else session


def _keep_of_session(request: OcpiRequest, told: Told, session: Session) -> None:
    names: dict[str, Any] = {"session": session, "carrier": told.carrier, "name": told.name}
    if plain(told.raw) is None:
        SessionExtension.objects.filter(**names).delete()
        return
    SessionExtension.objects.update_or_create(**names, defaults=_as_told(request, told))


def _as_told(request: OcpiRequest, told: Told) -> dict[str, Any]:
    return {
        "teller": str(request.sender),
        "value": told.raw,
        "correlation_id": request.correlation_id,
        "received_at": timezone.now(),
    }


def _keep_of_place(request: OcpiRequest, told: Iterable[Told]) -> None:
    """All of a Location's EVSEs at once, in one order, so that no two writers wait in a ring."""
    ids = {name: unquote(value).upper() for name, value in request.place.ids.items()}
    object_id = ids.get("location_id") or ids.get("tariff_id") or ""
    rows: dict[tuple[str, str, str], PlaceExtension] = {}
    gone: list[str] = []
    for one in told:
        part = one.part.upper() or ids.get("evse_uid", "")
        if max(len(object_id), len(part)) > _LONGEST_ID:  # In upper case, as it is kept.
            continue
        if plain(one.raw) is None:
            gone.append(one.name)
            continue
        rows[one.carrier, part, one.name] = PlaceExtension(
            carrier=one.carrier,
            object_id=object_id,
            part=part,
            name=one.name,
            **_as_told(request, one),
        )
    with transaction.atomic():
        if "location_id" in ids:
            _take_back(request, object_id, {part for kind, part, _ in rows if kind == _EVSE})
        if gone:
            PlaceExtension.objects.filter(
                teller=str(request.sender), object_id=object_id, part="", name__in=gone
            ).delete()
        PlaceExtension.objects.bulk_create(
            [rows[key] for key in sorted(rows)],
            batch_size=_BATCH,
            update_conflicts=True,
            unique_fields=["teller", "carrier", "object_id", "part", "name"],
            update_fields=["value", "correlation_id", "received_at"],
        )


def _take_back(request: OcpiRequest, object_id: str, capable: set[str]) -> None:
    """Take back what is told by a value of `capabilities`, of EVSEs named without it.

    A PUT names all of its Location or EVSE, a PATCH what it has; an EVSE in a list is whole.
    """
    uid = request.place.ids.get("evse_uid")
    kept = PlaceExtension.objects.filter(
        teller=str(request.sender), carrier=_EVSE, object_id=object_id
    ).exclude(part__in=capable)
    if uid is not None:
        kept = kept.filter(part=unquote(uid).upper())
    if not kept.exists():
        return
    if request.method == "PATCH":
        document = heads.object_of(request.body)
        sent = {} if document is None else plain(document)
        if uid is None:
            evses = sent.get("evses")
            kept = kept.filter(part__in=_uids(evses if isinstance(evses, list) else ()))
        elif "capabilities" not in sent:
            return
    kept.delete()


def _uids(evses: Iterable[Any]) -> list[str]:
    return [heads.text(one.get("uid")).upper() for one in evses if isinstance(one, dict)]


def forget_gone() -> int:
    """Forget what was told of a Location or Tariff that the hub does not have; how many values.

    Not what is new: a Location that its receiver has just taken is kept a moment later.
    """
    named = Q(owner=OuterRef("teller"), object_id=OuterRef("object_id"))
    there = {
        (Carrier.LOCATION, Carrier.EVSE): Exists(Location.objects.filter(named)),
        (Carrier.TARIFF,): Exists(Tariff.objects.filter(named)),
    }
    old = PlaceExtension.objects.filter(received_at__lt=timezone.now() - _SETTLED)
    return sum(
        old.filter(~one, carrier__in=carriers).delete()[0] for carriers, one in there.items()
    )


# --- Given with the object ------------------------------------------------------------------------


def session_for(viewer: PartyId, session: Session) -> bytes:
    """The Session as the viewer gets it: with the fields that its CPO agreed on with it."""
    return _given(viewer, session, Carrier.SESSION, session.owner, bytes(session.document))


def preferences_for(viewer: PartyId, session: Session, document: bytes) -> bytes:
    """ChargingPreferences likewise, by their eMSP."""
    return _given(viewer, session, Carrier.PREFERENCES, session.emsp, document)


def _given(
    viewer: PartyId, session: Session, carrier: Carrier, teller: PartyId, document: bytes
) -> bytes:
    if not holder.current().extends(teller, viewer):
        return document
    rows = SessionExtension.objects.filter(session=session, carrier=carrier, teller=str(teller))
    fields = {one.name: bytes(one.value) for one in rows}
    return extensions.together(document, fields) if fields else document


def agreement_ended(pair: Iterable[PartyId]) -> None:
    """What still waits for one of the two goes without them; called when they agree no more."""
    for sender, receiver in permutations(pair, 2):
        waiting = Delivery.objects.filter(
            module=MODULE,
            state=DeliveryState.WAITING,
            from_country_code__iexact=sender.country_code,
            from_party_id__iexact=sender.party_id,
            to_country_code__iexact=receiver.country_code,
            to_party_id__iexact=receiver.party_id,
        )
        for one in waiting.iterator():
            is_wish = one.interface_role == InterfaceRole.SENDER
            carrier = Carrier.PREFERENCES if is_wish else Carrier.SESSION
            found = extensions.apart(carrier, bytes(one.body))
            if found is not None:
                waiting.filter(pk=one.pk).update(body=found.plain)


# --- As it is known -------------------------------------------------------------------------------


class Known(msgspec.Struct, frozen=True, eq=False):
    """One value, who told it, by which message, and when the hub got that."""

    value: extensions.Value
    teller: PartyId
    message: str
    received_at: Any

    @property
    def source(self) -> str:
        """From where it comes, as its teller says."""
        said = f" ({self.value.source})" if self.value.source else ""
        return f"extension field of {self.teller}{said}"

    @property
    def observed_at(self) -> Any:
        """When it was so, as its teller says; else when it came."""
        return self.value.observed_at or self.received_at


def known(session: Session, viewer: PartyId | None = None) -> list[Known]:
    """Each value told of a session and its site, in the order of the table.

    `viewer` sees what it told itself or agreed on with its teller; None is the hub's operator.
    """
    if not holder.current().extending:
        return []
    found = [
        Known(value, row.by, row.correlation_id, row.received_at)
        for row in _seen(_rows(session), viewer)
        for value in extensions.values(row.told)
    ]
    order = [one.path for one in extensions.FIELDS]
    return sorted(found, key=lambda one: order.index(one.value.field.path))


def _rows(session: Session) -> Iterator[SessionExtension | PlaceExtension]:
    yield from SessionExtension.objects.filter(session=session)
    at = PlaceExtension.objects.filter(teller=str(session.owner))
    if session.location_id:
        place = at.filter(object_id=session.location_id.upper())
        yield from place.filter(carrier=Carrier.LOCATION)
        yield from place.filter(carrier=Carrier.EVSE, part=session.evse_uid.upper())
    yield from _of_tariffs(session, at)


def _of_tariffs(session: Session, at: "QuerySet[PlaceExtension]") -> Iterable[PlaceExtension]:
    """Of the Tariffs that its charging periods name."""
    document = plain(bytes(session.document))
    periods = document.get("charging_periods") if isinstance(document, dict) else None
    named = [one.get("tariff_id") for one in periods or () if isinstance(one, dict)]
    ids = {heads.text(one).upper() for one in named} - {""}
    return at.filter(carrier=Carrier.TARIFF, object_id__in=ids) if ids else ()


def _seen(
    rows: Iterable[SessionExtension | PlaceExtension], viewer: PartyId | None
) -> Sequence[SessionExtension | PlaceExtension]:
    if viewer is None:
        return list(rows)
    directory = holder.current()
    return [one for one in rows if one.by == viewer or directory.extends(one.by, viewer)]
