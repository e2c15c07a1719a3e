"""Preferences that an eMSP gives by the flex API: they become its own message to the CPO.

mod_sessions, PUT Method of the Sender interface. The same rows and the same relay follow as when
the eMSP sends it itself.
"""

from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
from django.conf import settings

from flex.api.objects import CpoSaid, WishedPreferences
from flex.api.problems import invalid
from flex.api.words import of_preferences
from hub.deviations import noting
from hub.ocpi import envelope, heads, lenient
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import HubError, NotTaken
from hub.outbound.forwarded import Forwarded
from hub.outbound.message import Message, url_below
from hub.parties import token_forms
from hub.record.note import Kind
from hub.routing import decisions
from hub.routing.directory import KnownToken, holder
from hub.routing.own_messages import OwnMessage
from sessions.models import Session
from sessions.preferences import preferences_put

_MODULE: Final = Session.MODULE
# Not the CPO's own word: what stands before it has too much to do, or nobody behind it.
_OF_ITS_PROXY: Final = frozenset({429, 500, 502, 503, 504})


def document(wanted: WishedPreferences) -> bytes:
    """The ChargingPreferences, without what is not said; Problem (400)."""
    found: dict[str, Any] = {"profile_type": wanted.profile_type}
    if wanted.departure_time is not None:
        departure = lenient.moment(wanted.departure_time)
        if departure is None:
            raise invalid(f"departure_time is not a time: {wanted.departure_time!r}.")
        found["departure_time"] = departure.isoformat().replace("+00:00", "Z")
    if wanted.energy_need is not None:
        if not 0 <= wanted.energy_need <= 100_000:
            raise invalid("energy_need is not below 0, in kWh.")
        found["energy_need"] = wanted.energy_need
    if wanted.discharge_allowed is not None:
        found["discharge_allowed"] = wanted.discharge_allowed
    return msgspec.json.Encoder(decimal_format="number").encode(found)


def message(session: Session, body: bytes, correlation_id: str) -> OwnMessage:
    """The eMSP's message to the CPO."""
    return OwnMessage(
        sender=session.emsp,
        receiver=session.owner,
        method="PUT",
        module=_MODULE,
        role=InterfaceRole.SENDER,
        rest=f"{quote(session.session_id, safe='')}/charging_preferences",
        body=body,
        correlation_id=correlation_id,
    )


class Said(NamedTuple):
    """A CPO's answer, or the hub's where it has none."""

    http_status: int
    status_code: int | None
    response: str

    @classmethod
    def of(cls, http_status: int, body: bytes) -> "Said":
        """As an envelope says it."""
        answer = envelope.read_answer(body)
        return cls(http_status, answer.status_code, heads.word_of(bytes(answer.data or b"")))

    def shown(self, cpo: str) -> CpoSaid:
        """With words."""
        return CpoSaid(
            http_status=self.http_status,
            status_code=self.status_code,
            response=self.response or None,
            in_words=of_preferences(cpo, self.http_status, self.status_code, self.response),
        )


def send_now(session: Session, body: bytes, correlation_id: str) -> Said:
    """Send it from a worker, and do what follows; OcpiError where the CPO has not answered."""
    directory, own = holder.current(), message(session, body, correlation_id)
    emsp = directory.parties.get(own.sender)
    if emsp is None:
        raise HubError(f"{own.sender} is not a party of this hub now.")
    cpo = decisions.reachable(directory, own.sender, own.receiver, _MODULE)
    endpoint = cpo.platform.endpoint(_MODULE, own.role)
    if endpoint is None:
        raise HubError(f"{own.receiver} does not take preferences: it offers no Sessions.")
    request = own.request(directory, KnownToken(emsp.platform, is_token_a=False))
    request = request.between(own.sender, own.receiver)
    sent = Message(
        kind=Kind.FORWARD,
        method=own.method,
        url=url_below(endpoint, own.rest),
        platform=cpo.platform,
        module=_MODULE,
        routing=request.routing_headers(own.sender, cpo),
        correlation_id=correlation_id,
        body=body,
        came_to=(request.match, request.path, ""),
    )
    send = partial(sent.send_now, seconds=settings.FORWARD_TIMEOUT)
    response = token_forms.sent_now(cpo.platform, send)
    if response.status == 401:
        raise NotTaken(f"{own.receiver} refuses the hub's credentials.")
    said = Said.of(response.status, response.body)
    if said.status_code is None and response.status in _OF_ITS_PROXY:
        raise NotTaken(f"{own.receiver} answered HTTP {response.status} without an envelope.")
    preferences_put(Forwarded(request, response))
    noting.flush()
    return said
