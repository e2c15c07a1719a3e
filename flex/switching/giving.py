"""The profile in force, for who has just become FSP (mod_charging_profiles, Sender, PUT).

As the CPO told it last, to whomever: an ActiveChargingProfile FROM the CPO, which says when it was
computed. The Session and the driver's preferences are given beside it (flex/relay.py).
"""

from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from flex import relay
from flex.knowledge import active
from flex.knowledge.profiles import Profile
from flex.models import FspAssignment
from hub.db import leases
from hub.models import Delivery
from hub.ocpi import headers
from hub.ocpi.datatypes import InterfaceRole, as_document
from hub.outbox import outbox
from hub.routing.directory import holder
from sessions.models import Session

MODULE: Final = "chargingprofiles"
# An older one says little of what is in force.
OLDEST: Final = timedelta(hours=1)


def give_active(session: Session, assignment: FspAssignment) -> bool:
    """Queue it; False where none is known or the FSP does not take it."""
    seen = active.latest(session)
    if assignment.fsp is None or seen is None or leases.now() - seen.observed_at > OLDEST:
        return False
    directory = holder.current()
    entry = relay.open_entry(
        directory, assignment.fsp, InterfaceRole.SENDER, {session.owner}, module=MODULE
    )
    if entry is None:
        return False
    outbox.enqueue(
        [
            Delivery(
                receiver_id=entry.platform.id,
                ordering_key=relay.ordering_key(session),
                module=MODULE,
                method="PUT",
                interface_role=InterfaceRole.SENDER,
                path=quote(session.session_id, safe=""),
                body=document(seen.profile),
                from_country_code=session.country_code,
                from_party_id=session.party_id,
                to_country_code=entry.country_code,
                to_party_id=entry.party_id,
                correlation_id=headers.new_id(),
            )
        ]
    )
    return True


def document(profile: Profile) -> bytes:
    """An ActiveChargingProfile."""
    start = f"{profile.start:%Y-%m-%dT%H:%M:%SZ}"
    told: dict[str, Any] = {
        "charging_rate_unit": profile.unit,
        "start_date_time": start,
        "charging_profile_period": [
            {"start_period": offset, "limit": limit} for offset, limit in profile.steps
        ],
    }
    if profile.duration is not None:
        told["duration"] = profile.duration
    if profile.minimum is not None:
        told["min_charging_rate"] = profile.minimum
    return as_document({"start_date_time": start, "charging_profile": told})
