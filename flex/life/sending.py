"""How a wish of the hub's own becomes a request, and in whose name (mod_charging_profiles)."""

from typing import Any, Final
from urllib.parse import quote

import msgspec

from charging_profiles import order
from charging_profiles.models import ProfileCommand, Purpose
from flex.life.models import HubCommand
from flex.models import FspAssignment
from hub.db import sql
from hub.ocpi import headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.party import PartyId
from hub.outbound.message import url_below
from hub.routing.directory import Directory, PartyEntry, holder
from sessions.models import Session

MODULE: Final = "chargingprofiles"


class CannotSend(Exception):
    """The CPO cannot be sent any now; says why, in a sentence."""


def in_whose_name(session: Session) -> PartyId:
    """The session's FSP; without one the last that it had; else the eMSP of its token."""
    assignments = FspAssignment.objects.filter(session=session).exclude(fsp_party_id="")
    last = assignments.order_by("-epoch").first()
    found = None if last is None else last.fsp
    return found or (session.emsp if session.emsp_party_id else session.owner)


def newest_epoch(session: Session) -> int:
    """The epoch of the session's last assignment, open or not; 0 without one."""
    [(epoch,)] = sql.run(
        "SELECT coalesce(max(epoch), 0) FROM flex_fspassignment WHERE session_id = %s",
        (session.pk,),
    )
    return int(epoch)


def send(row: HubCommand, method: str, more: dict[str, Any]) -> ProfileCommand:
    """Write a request for the session's CPO, which a carrier takes at once.

    `more` is the query of a GET or DELETE, or the body of a PUT, each without its response_url.
    CannotSend where the CPO is gone.
    """
    directory, session = holder.current(), row.session
    cpo = directory.parties.get(session.owner)
    endpoint = None if cpo is None else cpo.platform.endpoint(MODULE, InterfaceRole.RECEIVER)
    if cpo is None or not cpo.platform.is_registered:
        raise CannotSend(f"{session.owner} is not connected.")
    if endpoint is None:
        raise CannotSend(f"{session.owner} does not offer chargingprofiles as RECEIVER.")
    command = _unsent(row, method, cpo, directory)
    query = ""
    if method == "PUT":
        command.body = msgspec.json.encode(more | {"response_url": command.result_url})
    else:
        parts = [f"{name}={value}" for name, value in more.items()]
        query = "&".join([*parts, f"response_url={quote(command.result_url)}"])
    command.path = url_below(endpoint, quote(session.session_id, safe=""), query)
    command.add()
    return command


def _unsent(row: HubCommand, method: str, cpo: PartyEntry, directory: Directory) -> ProfileCommand:
    session = row.session
    return ProfileCommand(
        method=method,
        purpose=Purpose.ASK if method == "GET" else Purpose.RELEASE,
        session=session,
        session_id_sent=session.session_id,
        fsp_platform_id=_platform_of(row.fsp, cpo, directory),
        fsp_country_code=row.fsp_country_code,
        fsp_party_id=row.fsp_party_id,
        cpo_platform_id=cpo.platform.id,
        cpo_country_code=cpo.country_code,
        cpo_party_id=cpo.party_id,
        lane=order.lane_of(cpo.identity, session.session_id),
        epoch=0 if method == "GET" else row.epoch,
        correlation_id=headers.new_id(),
    )


def _platform_of(fsp: PartyId, cpo: PartyEntry, directory: Directory) -> int:
    """That of the party in whose name it is sent; the CPO's where that party has left the hub."""
    entry = directory.parties.get(fsp)
    return cpo.platform.id if entry is None else entry.platform.id
