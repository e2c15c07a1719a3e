"""The reference FSP at the hub: sites with a limit, by its flex API (SCALE D2.3, 8.4)."""

from datetime import UTC, datetime
from typing import Any

from flex.api import keys
from flex.api.models import Use
from fsp.provider import PARTY
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from simulators.cpo import Cpo
from tests.flex.api.calling import Api
from tests.hub.commands.calling import run
from tests.hub.strangers import until
from tests.party.processes import joined
from tests.running_hub import new_party


def key(party: PartyId, use: Use) -> str:
    return keys.of_party(party, [use], name="a test", made_by="a test").secret


def limits(amperes: float) -> dict[str, Any]:
    return {"unit": "A", "periods": [{"start": datetime.now(UTC).isoformat(), "limit": amperes}]}


def allowed_now(session) -> float | None:
    """By the profile that the CPO has taken last, in A; None without one."""
    if not session.plug.set_profiles:
        return None
    profile = session.plug.set_profiles[-1]
    offset = (datetime.now(UTC) - profile.start_date_time).total_seconds()
    begun = [p for p in profile.charging_profile_period if p.start_period <= offset]
    return float(begun[-1].limit)


def test_the_profiles_of_a_site_keep_its_limit_and_follow_it_down(hub):
    cpo, _ = hub.join(Cpo(new_party())), hub.emsp
    party = cpo.simulator.party
    owner = Api(hub.url, key(party, Use.CPO))
    site = {"members": [{"location_id": cpo.simulator.site.id}], "limits": [limits(20)]}
    owner.put("cpo/sites/Yard", site, 201)
    told = {"FLEX_API_URL": f"{hub.url}/flex/v1", "FLEX_API_KEY": key(PARTY, Use.FSP)}
    run("grant_mandate", "--scsp", str(PARTY), "--cpo", str(party))
    with joined(hub, "fsp", PARTY, Role.SCSP, **told):
        sessions = [cpo.run(cpo.simulator.start_session()) for _ in range(2)]
        until(lambda: [allowed_now(one) for one in sessions] == [10, 10])
        owner.put("cpo/sites/Yard/limits", limits(9))
        # The minimum rates of both do not fit: one of them pauses.
        until(lambda: sorted(allowed_now(one) or 0 for one in sessions) == [0, 9])
        owner.put("cpo/sites/Yard/limits", {"unit": "A", "periods": []})
