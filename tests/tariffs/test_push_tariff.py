"""PUT and DELETE of Tariffs on the Receiver interface (mod_tariffs)."""

import json

import pytest

from hub.models import StaleCopy
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from tariffs.models import Tariff
from tests.hub.pushing import HUB, T1, T2, T3, Owner, ids_of, listed, settled, tariff_of
from tests.hub.strangers import Stranger, ask, raw, until
from tests.object_cases import EXAMPLES

EXAMPLE_OWNER = PartyId("DE", "ALL")


@pytest.fixture(scope="module")
def nsp(hub):
    return hub.join(Stranger(Role.NSP))


@pytest.fixture(autouse=True)
def _forget_messages(nsp):
    nsp.simulator.got.clear()


@pytest.fixture(scope="module")
def example_owner(hub):
    running = hub.join(
        Stranger(Role.CPO, party=EXAMPLE_OWNER, more=[(PartyId("NL", "ALL"), Role.CPO)])
    )
    return Owner(hub, running, "tariffs")


def examples():
    """The Tariffs of the text that are whole."""
    files = sorted(EXAMPLES.glob("tariff_[0-9]*.json"))
    return [
        pytest.param(file.read_bytes(), id=file.stem)
        for file in files
        if "last_updated" in json.loads(file.read_bytes())
    ]


@pytest.mark.parametrize("body", examples())
def test_the_examples_of_the_text_pass_byte_for_byte(hub, emsp, example_owner, body):
    example = json.loads(body)
    party = PartyId(example["country_code"], example["party_id"])
    sent = {"OCPI-from-country-code": party.country_code, "OCPI-from-party-id": party.party_id}
    path = f"receiver/tariffs/{'/'.join(party)}/{example['id']}"
    running = example_owner.running
    Tariff.objects.filter(owner=str(party)).delete()  # some of the examples have the same id
    assert ask(hub, running, "PUT", path, to=HUB, body=body, headers=sent).code == 1000
    assert example_owner.told(emsp, example["id"], 1)[-1].body == body
    assert ask(hub, running, "GET", path, headers=sent).body.partition(b'"data":')[2] == body + b"}"
    assert any(body in page.body for page in listed(hub, emsp, "sender/tariffs"))


def test_the_example_without_last_updated_is_refused_with_the_field(example_owner):
    body = (EXAMPLES / "tariff_put_example.json").read_bytes()
    answer = example_owner.put("12", body=body)
    assert answer.said == (200, 2001)
    assert "last_updated" in answer.envelope["status_message"]


def test_what_is_new_is_created_and_what_is_known_is_replaced(owner, emsp):
    assert owner.put("new", body=tariff_of(owner.party, "new", x=1)).said == (201, 1000)
    settled()
    body = tariff_of(owner.party, "NEW", last_updated=T2)
    assert owner.put("New", body=body).said == (200, 1000)
    assert owner.kept("nEW") == body
    assert [one.method for one in owner.told(emsp, "new", 1)] == ["PUT"]
    assert Tariff.objects.filter(object_id="NEW").count() == 1


def test_prices_keep_their_spelling(owner, emsp):
    body = json.dumps(tariff_of(owner.party, "price")).replace("2.0,", "2.00000000000000000001,")
    assert owner.put("price", body=body.encode()).said == (201, 1000)
    assert owner.told(emsp, "price", 1)[0].body == body.encode()
    assert b"2.00000000000000000001," in owner.send("GET", "price", to=None).body


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"currency": "EURO"}, "$.currency"),
        ({"elements": None}, "$.elements"),
        (
            {"elements": [{"price_components": [{"type": "TIME", "price": "2", "step_size": 1}]}]},
            "$.elements[0].price_components[0].price",
        ),
        (
            {"elements": [{"price_components": [{"type": "HOUR", "price": 2, "step_size": 1}]}]},
            "$.elements[0].price_components[0].type",
        ),
        ({"id": "other"}, "id"),
        ({"party_id": "ZZZ"}, "party_id"),
    ],
)
def test_a_fault_is_refused_with_its_path_and_neither_stored_nor_sent(owner, emsp, changes, path):
    answer = owner.put("fault", body=tariff_of(owner.party, "fault") | changes)
    assert answer.said == (200, 2001)
    assert path in answer.envelope["status_message"]
    assert owner.kept("fault") is None
    assert not StaleCopy.objects.filter(object_id="FAULT").exists()


def test_an_older_tariff_is_neither_stored_nor_sent_on(owner, emsp):
    owner.put("guard", body=tariff_of(owner.party, "guard", last_updated=T2))
    answer = owner.put("guard", body=tariff_of(owner.party, "guard", currency="NOK"))
    assert "newer" in answer.envelope["status_message"]
    assert owner.kept("guard")["currency"] == "EUR"
    assert len(owner.told(emsp, "guard", 1)) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_post_and_patch_are_not_defined_for_receivers(owner, method):
    answer = owner.send(method, "12", body=b"{}")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, PUT, DELETE"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_only_the_list_is_defined_for_senders(owner, method):
    answer = ask(owner.hub, owner.running, method, "sender/tariffs", to=HUB, body=b"{}")
    assert answer.status == 405
    answer = ask(owner.hub, owner.running, "GET", "sender/tariffs/12", to=HUB)
    assert answer.status == 404


def test_a_get_of_a_tariff_that_is_not_there_is_404(owner, emsp):
    answer = ask(owner.hub, emsp, "GET", owner.path("nothing"))
    assert answer.status == 404
    assert "data" not in answer.envelope
    assert owner.send("GET", "nothing", to=HUB).said == (200, 4000)


def test_get_all_lists_tariffs_between_dates(owner, emsp):
    Tariff.objects.all().delete()
    for number, moment in enumerate((T1, T2, T3)):
        owner.put(f"t{number}", body=tariff_of(owner.party, f"t{number}", last_updated=moment))
    assert ids_of(listed(owner.hub, emsp, "sender/tariffs?limit=1")) == ["t0", "t1", "t2"]
    found = listed(owner.hub, emsp, f"sender/tariffs?limit=1&date_from={T1}&date_to={T3}")
    assert ids_of(found) == ["t0", "t1"]
    assert [page.headers["x-total-count"] for page in found] == ["2", "2"]


# --- DELETE -------------------------------------------------------------------------------------


def test_a_broadcast_delete_ends_it_for_all(owner, emsp, nsp):
    owner.put("gone", body=tariff_of(owner.party, "gone"))
    assert [one.method for one in owner.told(nsp, "gone", 1)] == ["PUT"]
    owner.put("gone", body=tariff_of(owner.party, "gone", currency="NOK"), to=emsp)
    assert owner.send("DELETE", "GONE").said == (200, 1000)
    for viewer in (owner.running, emsp, nsp):
        assert owner.kept("gone", viewer=viewer) is None
        assert "gone" not in ids_of(listed(owner.hub, viewer, "sender/tariffs"))
    (message,) = owner.told(nsp, "GONE", 1)
    assert (message.method, message.body) == ("DELETE", b"")
    assert message.from_party == HUB


def test_what_is_unknown_may_be_deleted_and_the_others_are_told(owner, emsp):
    assert owner.send("DELETE", "never had").said == (200, 1000)
    assert owner.told(emsp, "never had", 1)[0].method == "DELETE"


def test_a_directed_delete_ends_it_for_that_party_alone(owner, emsp, nsp):
    owner.put("one", body=tariff_of(owner.party, "one"))
    assert owner.send("DELETE", "one", to=emsp).code == 1000
    assert owner.kept("one", viewer=emsp) is None
    assert "one" not in ids_of(listed(owner.hub, emsp, "sender/tariffs"))
    assert owner.kept("one", viewer=nsp) is not None
    # What is broadcast later is for this party too.
    body = tariff_of(owner.party, "one", last_updated=T2)
    owner.put("one", body=body)
    assert owner.kept("one", viewer=emsp) == body


def test_a_directed_delete_of_a_variant_ends_both_for_that_party(owner, emsp, nsp):
    owner.put("variant", body=tariff_of(owner.party, "variant", last_updated=T1))
    owner.put("variant", body=tariff_of(owner.party, "variant", last_updated=T2), to=emsp)
    owner.send("DELETE", "variant", to=emsp)
    assert owner.kept("variant", viewer=emsp) is None
    assert owner.kept("variant", viewer=nsp)["last_updated"] == T1
    body = tariff_of(owner.party, "variant", last_updated=T3)
    owner.put("variant", body=body, to=emsp)
    assert owner.kept("variant", viewer=emsp) == body


def test_a_directed_delete_that_the_receiver_refuses_changes_nothing(owner, emsp):
    owner.put("stays", body=tariff_of(owner.party, "stays"))
    emsp.simulator.says = lambda message: raw(b'{"status_code":3000,"timestamp":"2026Z"}')
    owner.send("DELETE", "stays", to=emsp)
    emsp.simulator.says = Stranger.says_yes
    assert owner.kept("stays", viewer=emsp) is not None


def test_only_its_owner_deletes_a_tariff(owner, emsp, nsp, example_owner):
    owner.put("mine", body=tariff_of(owner.party, "mine"))
    answer = ask(owner.hub, example_owner.running, "DELETE", owner.path("mine"), to=HUB)
    assert answer.said == (200, 2001)
    assert owner.kept("mine", viewer=nsp) is not None


def test_a_put_after_a_delete_is_new(owner, emsp):
    for _ in range(2):
        assert owner.put("again", body=tariff_of(owner.party, "again")).said == (201, 1000)
        assert owner.send("DELETE", "again").said == (200, 1000)
    until(lambda: owner.told(emsp, "again", 1)[-1].method == "DELETE")
