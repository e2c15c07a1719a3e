"""The examples, each a process of its own, at the running hub beside a simulated CPO."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from sessions.objects import CdrToken, TokenType
from simulators.cpo import Cpo
from simulators.demo import PROJECT
from tests.hub.commands.calling import run
from tests.hub.strangers import until
from tests.party.processes import joined, serving
from tests.running_hub import new_party

EMSP, SCSP = PartyId("DE", "EXA"), PartyId("NL", "EXS")
DRIVER = CdrToken("DE", "EXA", "CARD-1", TokenType.RFID, "DE-EXA-C00000001-X")


def kept(cpo, location_id: str) -> dict[str, Any] | None:
    """What the eMSP has of the CPO's Location."""
    path = "/".join((*cpo.simulator.party, location_id))
    answer = cpo.call("locations", "RECEIVER", "GET", path, to=EMSP)
    return answer.data if answer.is_success else None


def status(cpo, location_id: str, evse_uid: str) -> str:
    found = kept(cpo, location_id) or {"evses": []}
    return next((e["status"] for e in found["evses"] if e["uid"] == evse_uid), "")


def test_an_emsp_and_an_scsp_let_a_car_wait(hub, tmp_path: Path):
    cpo = hub.join(Cpo(new_party()))
    site = cpo.simulator.site
    cpo.run(cpo.simulator.publish())
    file = str(tmp_path / "registration.json")
    with joined(hub, "examples.scsp", SCSP, Role.SCSP):
        with joined(hub, "examples.emsp", EMSP, Role.EMSP, REGISTRATION_FILE=file):
            run("grant_mandate", "--scsp", str(SCSP), "--cpo", str(cpo.simulator.party))
            # Read from the hub's list: it was pushed before the eMSP was there.
            until(lambda: kept(cpo, site.id))
            session = cpo.run(cpo.simulator.start_session(token=DRIVER))
            cpo.wait_for(lambda: session.plug.set_profiles)
            until(lambda: status(cpo, site.id, session.plug.evse.uid) == "CHARGING")

            wishes = cpo.simulator.preferences[session.id]
            assert (wishes.profile_type, wishes.energy_need) == ("CHEAP", 12.5)
            [profile] = session.plug.set_profiles
            assert session.profile_senders.keys() == {SCSP}
            first, second = profile.charging_profile_period
            assert (first.start_period, first.limit) == (0, 0)
            hours = (wishes.departure_time - profile.start_date_time).total_seconds() / 3600
            left = hours - second.start_period / 3600
            # At 230 V on one phase the energy just fits.
            assert left * float(second.limit) * 0.230 == pytest.approx(12.5, rel=0.01)
            assert profile.charging_rate_unit == "A"

            # What limits the car from now on is told by the CPO: it has to begin earlier.
            cpo.run(cpo.simulator.set_site_limit(8))
            cpo.wait_for(lambda: len(cpo.received(module="chargingprofiles", method="PUT")) == 2)
            [changed] = session.plug.set_profiles
            waits, charges = changed.charging_profile_period
            assert (waits.limit, charges.limit) == (0, 8)
            assert begin_of(changed) < begin_of(profile)
        # It comes back at another port, and needs no other invitation.
        with serving("examples.emsp", HUB_VERSIONS_URL=hub.versions_url, REGISTRATION_FILE=file):
            until(lambda: kept(cpo, site.id))


def begin_of(profile) -> datetime:
    """When it lets the car charge."""
    return profile.start_date_time + timedelta(
        seconds=profile.charging_profile_period[-1].start_period
    )


@pytest.mark.parametrize(("name", "most"), [("emsp", 40), ("scsp", 90)])
def test_an_example_is_short(name, most):
    text = (PROJECT / "examples" / f"{name}.py").read_text()
    assert len([line for line in text.splitlines() if line]) <= most
    # Nothing of the hub but its vocabulary, nothing of the simulators.
    imported = set(re.findall(r"^from (\w+(?:\.\w+)?)", text, re.MULTILINE))
    assert {name for name in imported if name.startswith("hub")} <= {"hub.ocpi"}
    assert not any(name.startswith("simulators") for name in imported)
