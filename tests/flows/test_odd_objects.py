"""Locations, Tariffs and Tokens as strangers spell them: pushed for all, to one party, or pulled.

The examples of the specification, each value changed in every way. Whatever names and orders an
object, its required fields, and what decides access or money may be refused; nothing else may, and
what one party has accepted is kept whatever it is.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

from hub.models.pulls import Pull
from hub.ocpi.datatypes import Role
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.party import PartyId
from hub.ocpi.reading import deviations_of, is_right
from hub.store.pushed import Pushed, PushOutcome
from hub.sync import pull_tasks
from locations.models import Location
from locations.objects import Location as LocationObject
from tariffs.models import Tariff
from tariffs.objects import Tariff as TariffObject
from tests import mutations
from tests.hub.deviations.counts import counts_of
from tests.hub.lists import Lists
from tests.hub.pushing import HUB, T1, evse_of, listed
from tests.hub.strangers import Stranger, ask, until
from tests.object_cases import EXAMPLES, properties
from tokens.models import Token
from tokens.objects import Token as TokenObject

pytestmark = pytest.mark.long
MODELS = {"Location": Location, "Tariff": Tariff, "Token": Token}
STRUCTS = {"Location": LocationObject, "Tariff": TariffObject, "Token": TokenObject}
KEYS = {"Location": "id", "Tariff": "id", "Token": "uid"}
EXACT: dict[str, set[tuple[str, ...]]] = {
    "Location": set(),
    "Tariff": {("currency",), ("price_components", "type"), ("price_components", "price")},
    "Token": {(name,) for name in ("valid", "whitelist", "type", "uid", "contract_id")},
}
# Where the hub must find parts by name, or prices.
NEEDED: dict[str, set[tuple[str, ...]]] = {
    "Location": {("evses",), ("evses", "uid"), ("connectors",), ("connectors", "id")},
    "Tariff": {("elements",), ("price_components",)},
    "Token": set(),
}
FILES = {"Location": "location_example*", "Tariff": "tariff_*", "Token": "token_*ex*"}


def examples(name: str) -> list[dict[str, Any]]:
    """The whole ones; the text's own example of a Tariff to be PUT has no last_updated."""
    found = [json.loads(file.read_bytes()) for file in sorted(EXAMPLES.glob(f"{FILES[name]}.json"))]
    return [one for one in found if "last_updated" in one and "country_code" in one]


def changed(
    name: str, stands_alone: Callable[[mutations.Path], bool]
) -> Iterator[tuple[str, mutations.Path, dict[str, Any], dict[str, Any]]]:
    """What was changed and where, the example, and it with the change; each kind of change once.

    Those that do not stand alone come with some elsewhere.
    """
    seen = set()
    for document in examples(name):
        alone: list[mutations.Mutation] = []
        others: list[mutations.Mutation] = []
        for one in mutations.mutations(document):
            if (kind := mutations.kind_of(one)) not in seen:
                seen.add(kind)
                (alone if stands_alone(one[1]) else others).append(one)
        for what, path, spelled in (*alone, *mutations.together(document, others)):
            yield what, path, document, spelled
        several = mutations.several(document, 10, seed=len(str(document)), spare=lambda path: False)
        yield from ((f"several {number}", (), document, one) for number, one in enumerate(several))


def may_be_refused(name: str, path: mutations.Path) -> bool:
    if not path:
        return True  # Several at once: any of them may be the reason.
    names = tuple(step for step in path if isinstance(step, str))
    required = {one.name for one in properties(name) if one.card in "1+"}
    return (
        (len(path) == 1 and path[0] in required)
        or {names[-1:], names[-2:]} & EXACT[name] != set()
        or {names[-1:], names[-2:]} & NEEDED[name] != set()
    )


def pushed_for(name: str, document: dict[str, Any], body: bytes, audience: str = "") -> Pushed:
    owner = PartyId.of(document["country_code"], document["party_id"])
    query = {"type": document["type"]} if name == "Token" else {}
    return Pushed("PUT", owner, (document[KEYS[name]],), query, body, audience)


@pytest.mark.django_db
@pytest.mark.parametrize("name", MODELS)
def test_for_all_each_is_kept_and_told_as_sent_and_noted_or_refused_for_cause(name):
    model, refused, odd = MODELS[name], 0, 0
    for what, path, document, one in changed(name, partial(may_be_refused, name)):
        body = f"\n{json.dumps(one)} ".encode()
        model.objects.all().delete()
        pushed = pushed_for(name, document, body)
        try:
            told = model.push(pushed)
        except InvalidParameters:
            told = None
        if told is None:
            assert may_be_refused(name, path), what
            assert not model.objects.exists()
            refused += 1
            continue
        assert told == (PushOutcome.CREATED, body), what
        row = model.objects.get()
        assert bytes(row.document) == body, what
        is_odd = not is_right(body, STRUCTS[name])
        assert row.deviates == is_odd, what
        assert pushed.deviations == (deviations_of(body, STRUCTS[name]) if is_odd else []), what
        odd += is_odd
        # It goes on as any.
        if name != "Tariff":
            change = b'{"x_more":1.50,"last_updated":"2099-01-01 00:00:00+00:00"}'
            key = (document[KEYS[name]],)
            again = Pushed("PATCH", pushed.owner, key, pushed.query, change)
            assert model.push(again).kept, what
            assert b'"x_more":1.50' in bytes(model.objects.get().document), what
        assert model.push(pushed_for(name, document, body)).kept, what
    assert refused > 20
    assert odd > 20


@pytest.mark.django_db
@pytest.mark.parametrize("name", MODELS)
def test_what_one_party_has_accepted_is_kept_whatever_it_is(name):
    model = MODELS[name]
    for what, _, document, one in changed(name, lambda path: False):
        body = f"\n{json.dumps(one)} ".encode()
        model.objects.all().delete()
        told = model.push(pushed_for(name, document, body, "DE-MSP"))
        assert told == (PushOutcome.CREATED, body), what
        row = model.objects.get(audience="DE-MSP")
        assert bytes(row.document) == body, what
        if name == "Location":
            assert row.part(()) == body, what
            later_changes_find_it(document, row, what)


def later_changes_find_it(document: dict[str, Any], row: Location, what: str) -> None:
    owner, location_id = PartyId.of(document["country_code"], document["party_id"]), document["id"]
    dated = {"last_updated": "2099-01-01T00:00:00Z"}
    if row.part(("3256",)) is not None:
        change = json.dumps({"status": "BLOCKED"} | dated).encode()
        ids = (location_id, "3256")
        assert Location.push(Pushed("PATCH", owner, ids, {}, change, "DE-MSP")).kept, what
    added = json.dumps(evse_of("N", **dated)).encode()
    told = Location.push(Pushed("PUT", owner, (location_id, "N"), {}, added))
    assert told.kept is PushOutcome.CREATED, what
    assert Location.objects.get().part(("N",)) is not None, what


@pytest.fixture
def owner(hub):
    """One party in both roles, which owns objects of all three modules."""
    return hub.join(Stranger(Role.CPO, Role.EMSP, listens=False))


@pytest.fixture
def receiver(hub):
    return hub.join(Stranger(Role.CPO, Role.EMSP, listens=False))


def tolerated(name: str, document: dict[str, Any], party: PartyId) -> list[dict[str, Any]]:
    """Objects of a party, each with some oddities that are nothing to refuse."""
    document = document | party._asdict() | {"last_updated": T1}
    odd = [
        one
        for one in mutations.mutations(document)
        if not may_be_refused(name, one[1]) and one[1][0] not in {"id", "uid"}
    ]
    return [
        one | {KEYS[name]: f"{name[:2]}-{number}"}
        for number, (_, _, one) in enumerate(mutations.together(document, odd))
    ]


@pytest.mark.parametrize(("name", "example"), [
    ("Location", "location_example"), ("Tariff", "tariff_4_complex"),
    ("Token", "token_example_2_full_rfid"),
])  # fmt: skip
def test_pushed_or_pulled_they_are_in_every_list_and_spread_as_sent(
    hub, owner, receiver, settings, name, example
):
    settings.PULL_PAUSE = 0.001
    document = json.loads((EXAMPLES / f"{example}.json").read_bytes())
    module = f"{name.lower()}s"
    objects = tolerated(name, document, owner.simulator.party)
    pushed, rest = objects[::2], objects[1::2]
    for one in pushed:
        path = f"receiver/{module}/{{own}}/{quote(one[KEYS[name]])}"
        said = ask(hub, owner, "PUT", path, body=f" {json.dumps(one)}".encode())
        assert said.said == (201, 1000), (one, said)
    # A Tariff that is missing in a whole list is gone.
    Lists(owner.simulator, size=50, **{module: objects})
    [row] = pull_tasks.request(owner.simulator.party, [module], full=True)
    until(lambda: not Pull.objects.get(pk=row.pk).is_requested)
    done = Pull.objects.get(pk=row.pk)
    assert (done.bad, done.stored, done.unchanged) == (0, len(rest), len(pushed))
    seen = {
        one[KEYS[name]]: one
        for page in listed(hub, receiver, f"sender/{module}")
        for one in page.envelope["data"]
        if one["party_id"] == owner.simulator.party.party_id
    }
    assert seen == {one[KEYS[name]]: one for one in objects}
    until(lambda: len({m.parts[2] for m in receiver.simulator.got}) >= len(pushed))
    told = {message.parts[2]: message.body for message in receiver.simulator.got}
    assert {told[one[KEYS[name]]] for one in pushed} == {
        f" {json.dumps(one)}".encode() for one in pushed
    }
    until(lambda: sum(counts_of(owner.simulator.party).values()) >= len(objects) // 2)
    assert all(path.startswith(name) for _, path in counts_of(owner.simulator.party))


def test_directed_ones_are_seen_by_the_party_that_accepted_them(hub, owner, receiver):
    document = json.loads((EXAMPLES / "location_example.json").read_bytes())
    document |= owner.simulator.party._asdict()
    several = mutations.several(document, 40, seed=7, spare=lambda path: False)
    for number, one in enumerate(several):
        path, body = f"receiver/locations/{{own}}/DIRECTED-{number}", json.dumps(one).encode()
        # Some send an object as a list of one.
        sent = b"[%b]" % body if number % 4 == 0 else body
        assert ask(hub, owner, "PUT", path, to=receiver, body=sent).code == 1000
        url = f"sender/locations/DIRECTED-{number}"
        found = ask(hub, receiver, "GET", url, to=HUB)
        assert found.said == (200, 1000)
        assert found.envelope["data"] == one
