"""The flexibility journey end to end: three simulated platforms, one hub (SCALE D2.3, 11.4)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from flex.models import FlexAgreement, FspAssignment, PreferenceCopy
from hub.ocpi.datatypes import InterfaceRole
from sessions.models import Session
from sessions.objects import ChargingPreferences, ProfileType


def test_departure_time_changes_the_schedule(hub):
    assert all((hub.cpo, hub.emsp, hub.scsp))  # Registered at their first use.
    FlexAgreement.objects.create(
        fsp_country_code="NL", fsp_party_id="SCS", cpo_country_code="NL", cpo_party_id="CPO"
    )
    session = hub.cpo.run(hub.cpo.simulator.start_session())
    hub.scsp.wait_for_message(module="sessions", method="PUT", interface=InterfaceRole.RECEIVER)
    hub.emsp.run(
        hub.emsp.simulator.send_preferences(
            session.id,
            ChargingPreferences(
                ProfileType.CHEAP,
                departure_time=datetime.now(UTC) + timedelta(hours=8),
                energy_need=Decimal(20),
            ),
        )
    )
    task = hub.scsp.simulator.task(session.id)
    hub.scsp.wait_for(lambda: task.pushed is not None and task.follows)
    kept = Session.objects.get(session_id=session.id)
    assert PreferenceCopy.objects.get(session=kept).cpo_answer == "ACCEPTED"
    assert str(FspAssignment.objects.get(session=kept).fsp) == "NL-SCS"
