"""No party can change, end or read another platform's objects, by any method and any TO.

Over real HTTP, with what the hub keeps of two CPOs and an eMSP: whatever an attacker on a platform
of its own sends on Receiver interfaces, nobody but the owner's receivers hears of it, and every
object stays to the byte as it was.
"""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdrs.models import Cdr
from hub.ocpi.datatypes import Role
from hub.ocpi.modules import ROUTES
from hub.ocpi.party import PartyId
from locations.models import Location
from sessions.models import Session
from simulators.testing import Running
from tariffs.models import Tariff
from tests import minimal
from tests.hub.pushing import HUB, Owner, location_of, settled, tariff_of
from tests.hub.strangers import RECEIVER, Reply, Stranger, ask
from tokens.models import Token

LATER = "2099-01-01T00:00:00Z"
OWNED = [route for route in ROUTES if "{country_code}" in route.segments]
CALLS = [(route, method) for route in OWNED for method in route.methods]
IDS = {"location_id": "L1", "evse_uid": "3256", "connector_id": "1", "tariff_id": "T1"}
IDS |= {"token_uid": "U1", "session_id": "S1"}


class Scene:
    """A CPO, an eMSP and an SCSP with objects, and attackers of every role."""

    def __init__(self, hub) -> None:
        self.hub = hub
        self.cpo, self.emsp, self.scsp = (
            hub.join(Stranger(role, listens=False)) for role in (Role.CPO, Role.EMSP, Role.SCSP)
        )
        attackers = [role for role in Role if role is not Role.HUB]
        self.attackers = [hub.join(Stranger(role, listens=False)) for role in attackers]
        cpo, emsp = self.cpo.simulator.party, self.emsp.simulator.party
        wholes = {"locations": location_of(cpo, "L1"), "tariffs": tariff_of(cpo, "T1")}
        for module, whole in wholes.items():
            assert Owner(hub, self.cpo, module).put(whole["id"], body=whole).code == 1000
        token = minimal.token(emsp, "U1")
        assert Owner(hub, self.emsp, "tokens").put("U1", body=token).code == 1000
        self.session = minimal.session(cpo, emsp, "S1")
        path = f"receiver/sessions/{minimal.owned(cpo, 'S1')}"
        body = minimal.as_json(self.session)
        for to in (self.emsp, self.scsp):
            assert ask(hub, self.cpo, "PUT", path, to=to, body=body).code == 1000
        self.owners = {"tokens": emsp} | dict.fromkeys(("locations", "tariffs", "sessions"), cpo)
        self.kept = self.rows()
        settled()

    def rows(self) -> list[Any]:
        """All that is kept of the owners, to the byte."""
        cpo, emsp = (one.simulator.party for one in (self.cpo, self.emsp))
        of_owners = {"owner__in": [str(cpo), str(emsp)]}
        found: list[Any] = [
            *Location.objects.filter(**of_owners).values_list("owner", "object_id", "document"),
            *Tariff.objects.filter(**of_owners).values_list("owner", "object_id", "document"),
            *Token.objects.filter(**of_owners).values_list("owner", "object_id", "document"),
            *Cdr.objects.filter(**of_owners).values_list("owner", "object_id", "document"),
            *Session.objects.filter(party_id=cpo.party_id).values_list(
                "party_id", "session_id", "document", "sent_to"
            ),
        ]
        return [[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in found]

    def heard_of_others(self) -> list[str]:
        """What anybody was sent on a Receiver interface under the ids of who did not send it."""
        everybody = [self.cpo, self.emsp, self.scsp, *self.attackers]
        return [
            f"{message.method} {message.path} from {message.from_party}"
            for running in everybody
            for message in running.simulator.got
            if message.interface == RECEIVER.lower()
            and message.parts[:2] in [self.cpo.simulator.party, self.emsp.simulator.party]
            and message.from_party != PartyId(*message.parts[:2])
        ]

    def forget(self) -> None:
        """What was sent so far."""
        for running in (self.cpo, self.emsp, self.scsp, *self.attackers):
            running.simulator.got.clear()

    def send(self, attacker: Running[Stranger], call: Any, to: Any, body: bytes, odd: int) -> Reply:
        """One attack; `odd` chooses how the URL is spelled."""
        route, method = call
        owner = self.owners[route.module]
        names = IDS | {"country_code": owner.country_code, "party_id": owner.party_id}
        rest = route.shape.format(**names)
        path = f"receiver/{route.module}/{rest}"
        if odd == 1:
            path = path.lower()
        elif odd == 2:
            path = path.replace(owner.party_id, "".join(f"%{ord(c):02X}" for c in owner.party_id))
        elif odd == 3:
            path = f"receiver/{route.module}{rest}"
        elif odd == 4:
            path = path.replace("/", "//").replace("receiver//", "Receiver/")
        sent = None if method in {"GET", "DELETE"} else body
        return ask(self.hub, attacker, method, path, to=to, body=sent)


@pytest.fixture(scope="module")
def scene(hub):
    return Scene(hub)


def _bodies(scene: Scene) -> list[bytes]:
    """Whole objects, newer than what is kept, with the owner's ids, the attacker's, or none."""
    cpo, emsp = (one.simulator.party for one in (scene.cpo, scene.emsp))
    attacker = scene.attackers[0].simulator.party
    whole: list[Any] = [{"last_updated": LATER}, {"last_updated": LATER, "cdr_token": None}]
    for owner in (cpo, attacker):
        whole += [location_of(owner, "L1", last_updated=LATER, name="forged")]
        whole += [tariff_of(owner, "T1", last_updated=LATER)]
        whole += [minimal.session(owner, one, "S1", last_updated=LATER) for one in (emsp, attacker)]
    whole += [minimal.token(emsp, "U1", valid=False, last_updated=LATER)]
    return [json.dumps(one).encode() for one in whole]


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from(CALLS),
    st.integers(0, 5),
    st.integers(0, 6),
    st.integers(0, 10),
    st.integers(0, 4),
)
def test_nothing_of_anothers_is_changed_ended_or_read(scene, call, attacker, to, body, odd):
    sender = scene.attackers[attacker % len(scene.attackers)]
    receivers = (None, HUB, scene.cpo, scene.emsp, scene.scsp, sender, scene.attackers[-1])
    bodies = _bodies(scene)
    scene.forget()
    answer = scene.send(sender, call, receivers[to], bodies[body % len(bodies)], odd)
    assert answer.status in {200, 404}
    assert 2000 <= answer.code < 5000
    assert "data" not in answer.envelope
    assert scene.heard_of_others() == []
    assert scene.rows() == scene.kept


@pytest.mark.parametrize("is_owner", [True, False])
def test_a_cdr_goes_out_in_its_cpos_name_alone(scene, is_owner):
    cpo, emsp = (one.simulator.party for one in (scene.cpo, scene.emsp))
    body = minimal.as_json(minimal.cdr(cpo, emsp, f"C-{is_owner}"))
    for sender in [scene.cpo] if is_owner else scene.attackers:
        for to in (None, scene.emsp):
            answer = ask(scene.hub, sender, "POST", "receiver/cdrs", to=to, body=body)
            assert answer.said == ((200, 1000) if is_owner else (200, 2001))
    assert (
        Cdr.objects.filter(owner=str(cpo), object_id=f"C-{is_owner}".upper()).exists() is is_owner
    )


def test_the_owners_themselves_still_may(scene):
    """Else all of this could pass with a hub that refuses everything."""
    for module, object_id in (("locations", "L1"), ("tariffs", "T1"), ("sessions", "S1")):
        path = f"receiver/{module}/{{own}}/{object_id}"
        assert ask(scene.hub, scene.cpo, "GET", path, to=scene.emsp).said == (200, 1000)
    assert Owner(scene.hub, scene.emsp, "tokens").kept("U1")["uid"] == "U1"
