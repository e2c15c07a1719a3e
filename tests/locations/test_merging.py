"""What holds of every Location and every order of its updates (mod_locations, PUT and PATCH)."""

import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.ocpi.party import PartyId
from hub.store.pushed import Pushed
from locations.models import Location
from tests.hub.pushing import T1, connector_of, evse_of, location_of

pytestmark = pytest.mark.django_db
OWNER = PartyId("NL", "CPO")
# The database is the same for all examples of a test: each begins with a PUT that replaces all.
ONE_DATABASE = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def push(method, body, *ids):
    return Location.push(Pushed(method, OWNER, ("L", *ids), {}, body))


def begin(**more):
    Location.objects.all().delete()
    evses = [
        evse_of(uid, connectors=[connector_of("1"), connector_of("2")]) for uid in ("1", "2", "3")
    ]
    body = json.dumps(location_of(OWNER, "L", evses=evses, **more)).encode()
    push("PUT", body)
    return body


def kept():
    return bytes(Location.objects.get().document)


@ONE_DATABASE
@given(st.dictionaries(TEXTS.map(lambda name: f"x_{name}"), VALUES, max_size=4), st.booleans())
def test_the_bytes_that_come_in_are_the_bytes_that_go_out(more, is_pretty):
    sent = location_of(OWNER, "L", **more)
    body = json.dumps(sent, indent=2 if is_pretty else None, ensure_ascii=is_pretty).encode()
    Location.objects.all().delete()
    push("PUT", body)
    assert kept() == body


@ONE_DATABASE
@given(st.dictionaries(TEXTS.map(lambda name: f"x_{name}"), VALUES, max_size=4))
def test_a_patch_of_a_part_leaves_every_other_value_as_it_is(more):
    begin(**more)
    push("PATCH", b'{"status":"BLOCKED","last_updated":"2026-02-01T00:00:00Z"}', "2")
    fields = msgspec.json.decode(kept(), type=dict[str, msgspec.Raw])
    for name, value in more.items():
        assert bytes(fields[name]) == json.dumps(value).encode()


def _moments():
    return st.integers(0, 59).map(lambda second: f"2026-01-02T00:00:{second:02}Z")


PARTS = st.sampled_from([("1",), ("2",), ("3",), ("4",), ("1", "1"), ("2", "1"), ("3", "2")])


@ONE_DATABASE
@given(st.data())
def test_updates_of_different_parts_end_in_the_same_state_in_any_order(data):
    """PUTs of EVSEs beside each other, and of Connectors of other EVSEs."""
    chosen = data.draw(st.lists(PARTS, unique_by=lambda ids: ids[0], min_size=2, max_size=4))
    updates = []
    for ids in chosen:
        for _ in range(data.draw(st.integers(1, 3))):
            moment = data.draw(_moments())
            if len(ids) == 1:
                body = evse_of(ids[0], physical_reference=moment[-4:], last_updated=moment)
            else:
                body = connector_of(ids[1], max_voltage=int(moment[-3:-1]), last_updated=moment)
            updates.append((ids, json.dumps(body).encode()))
    ends = set()
    for order in (updates, updates[::-1], data.draw(st.permutations(updates))):
        begin()
        for ids, body in order:
            push("PUT", body, *ids)
        found = json.loads(kept())
        found["evses"].sort(key=lambda evse: evse["uid"])
        ends.add(json.dumps(found, sort_keys=True))
    assert len(ends) == 1


@ONE_DATABASE
@given(st.lists(st.tuples(PARTS, _moments()), min_size=1, max_size=8))
def test_a_parent_is_never_older_than_what_has_changed_in_it(updates):
    begin()
    for ids, moment in updates:
        if ids == ("4",):
            continue
        push("PATCH", json.dumps({"last_updated": moment}).encode(), *ids)
    location = json.loads(kept())
    for evse in location["evses"]:
        for connector in evse["connectors"]:
            assert T1 <= connector["last_updated"] <= evse["last_updated"]
        assert evse["last_updated"] <= location["last_updated"]
    column = Location.objects.get().last_updated.isoformat().replace("+00:00", "Z")
    assert column == location["last_updated"]
