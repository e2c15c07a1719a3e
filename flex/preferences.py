"""A driver's ChargingPreferences, kept with the CPO's answer and given to the session's FSP.

mod_sessions, ChargingPreferences; SCALE D2.3, 8.4. Those of a Session that is still on its way to
its receiver wait for it.
"""

from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import msgspec

from flex import extensions, relay
from flex.api.words import of_preferences
from flex.facts import acting
from flex.journal import Topic, note
from flex.life import watching
from flex.models import PreferenceCopy
from hub.db import sql
from hub.models import locking
from hub.ocpi import envelope, heads, lenient
from hub.ocpi.datatypes import InterfaceRole
from hub.outbound.forwarded import Forwarded
from sessions.models import Session

_MOST_KWH: Final = Decimal(999_999)


class _Wishes(msgspec.Struct):
    """ChargingPreferences, field by field: one that cannot be read does not hide the others."""

    profile_type: Any = None
    departure_time: Any = None
    energy_need: Any = None
    discharge_allowed: Any = None

    def columns(self) -> dict[str, Any]:
        """As PreferenceCopy keeps them."""
        allowed = self.discharge_allowed
        return {
            "profile_type": heads.word(self.profile_type),
            "departure_time": lenient.moment(self.departure_time),
            "energy_need": _column_kwh(lenient.number(self.energy_need)),
            "discharge_allowed": allowed if isinstance(allowed, bool) else None,
        }


_read_wishes: Final = heads.reader(_Wishes)


@locking.whole
def keep(session: Session, forwarded: Forwarded) -> None:
    """Keep what the eMSP of the session has PUT, give it to the FSP, and have it looked at soon."""
    if not session.is_accepted:
        # Whoever answers the Session's PUT just now waits, or has just ended it.
        found = Session.find(forwarded.request.receiver, session.session_id, for_update=True)
        if found is None:
            return
        session = found
    copy = _copy_of(forwarded, session)
    sql.insert(copy)
    _note(copy, session)
    if copy.is_waiting:
        session.has_waiting = True
        session.save(update_fields=["has_waiting"])
    else:
        _give(copy, session)
    watching.look_at(session.pk)


def _note(copy: PreferenceCopy, session: Session) -> None:
    """What the driver asks now, for whoever reads what happens to the session."""
    asked = [f"{copy.profile_type or 'no known'} charging"]
    if copy.energy_need is not None:
        asked.append(f"{float(copy.energy_need):g} kWh")
    if copy.departure_time is not None:
        asked.append(f"departure at {copy.departure_time:%Y-%m-%dT%H:%M:%SZ}")
    said = of_preferences(
        str(session.owner), copy.cpo_http_status, copy.cpo_status_code, copy.cpo_answer
    )
    note(
        session.pk,
        Topic.PREFERENCES,
        f"{session.emsp} asks for {', '.join(asked)}. {said}",
        correlation_id=copy.correlation_id,
    )


def _copy_of(forwarded: Forwarded, session: Session) -> PreferenceCopy:
    request = forwarded.request
    answer = envelope.read_answer(forwarded.response.body)
    wishes = _read_wishes(heads.object_of(request.body) or b"{}")
    return PreferenceCopy(
        session=session,
        document=request.body,
        kwh_at_receipt=_column_kwh(session.kwh),
        cpo_http_status=forwarded.response.status,
        cpo_status_code=_column_code(answer.status_code),
        cpo_answer=_answer_text(answer),
        correlation_id=request.correlation_id,
        is_waiting=session.is_underway,
        **wishes.columns(),
    )


def _give(copy: PreferenceCopy, session: Session) -> None:
    assignment = acting(session)
    if assignment is None or assignment.fsp is None or assignment.fsp == session.emsp:
        return
    path = f"{quote(session.session_id, safe='')}/charging_preferences"
    body = extensions.preferences_for(assignment.fsp, session, bytes(copy.document))
    owed = relay.Owed(InterfaceRole.SENDER, path, body, copy.correlation_id)
    relay.give(assignment.fsp, session, session.emsp, owed)


def give_latest(session: Session) -> None:
    """Give one that has just become FSP what the driver asked last."""
    latest = PreferenceCopy.objects.filter(session=session, is_waiting=False).order_by("-pk")
    if session.is_accepted and (copy := latest.first()) is not None:
        _give(copy, session)


# --- Those that wait for their Session ------------------------------------------------------------


def _waiting(session: Session) -> list[PreferenceCopy]:
    return list(PreferenceCopy.objects.filter(session=session, is_waiting=True).order_by("pk"))


def has_accepted(session: Session) -> bool:
    """Whether the CPO has accepted some of those that wait."""
    return any(copy.is_accepted for copy in _waiting(session))


def give_waiting(session: Session) -> None:
    """Give those that came while the Session was on its way: after it, in their order."""
    if not session.has_waiting:
        return
    for copy in _waiting(session):
        _give(copy, session)
    PreferenceCopy.objects.filter(session=session, is_waiting=True).update(is_waiting=False)
    session.has_waiting = False
    session.save(update_fields=["has_waiting"])


# --- As the columns hold it -----------------------------------------------------------------------


def _column_kwh(value: Decimal | None) -> Decimal | None:
    """None for more than any car takes: only the document says it."""
    if value is None or abs(value) > _MOST_KWH:
        return None
    return value.quantize(Decimal("0.0001"))


def _column_code(code: int | None) -> int | None:
    """None for what is not a status code of OCPI."""
    return code if code is not None and 0 <= code <= 9999 else None


def _answer_text(answer: envelope.Answer) -> str:
    """The ChargingPreferencesResponse; some send it inside an object or a list."""
    try:
        value = msgspec.json.decode(bytes(answer.data)) if bytes(answer.data) else ""
    except msgspec.DecodeError:
        return ""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("result")
    return heads.word(value) if isinstance(value, str) else ""
