"""POST of a CDR through the hub (mod_cdrs, Receiver Interface: never spread)."""

import json
from pathlib import Path

import pytest

from cdrs.models import Cdr, Posting
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from tests.hub.strangers import Stranger, ask, raw
from tests.minimal import as_json, cdr
from tests.running_hub import new_party

HUB = PartyId("NL", "HUB")
EXAMPLE = Path(__file__).parents[1] / "data" / "ocpi" / "cdr_example.json"
TAKEN = b'{ "status_code":1000, "timestamp":"2026-01-01T00:00:00Z","x":1.0}'


@pytest.fixture(scope="module")
def bystanders(hub):
    """Who must not get anybody else's CDRs."""
    return [hub.join(Stranger(role)) for role in (Role.EMSP, Role.NSP, Role.OTHER, Role.CPO)]


def post(hub, cpo, document: dict | bytes, to=None):
    body = document if isinstance(document, bytes) else as_json(document)
    return ask(hub, cpo, "POST", "receiver/cdrs", to=to, body=body)


def of(cpo, emsp, cdr_id: str, **more) -> dict:
    return cdr(cpo.simulator.party, emsp.simulator.party, cdr_id, **more)


def kept(cdr_id: str) -> list[Cdr]:
    return list(Cdr.objects.filter(object_id=cdr_id.upper()))


@pytest.mark.parametrize("is_named", [True, False])
def test_a_cdr_goes_to_the_emsp_of_its_token_byte_for_byte_and_to_nobody_else(
    hub, cpo, emsp, bystanders, is_named
):
    body = as_json(of(cpo, emsp, f"POST-{is_named}", x_vendor=[1.50])) + b" \n"
    emsp.simulator.says = lambda message: raw(TAKEN, 201)
    answer = post(hub, cpo, body, to=emsp if is_named else None)
    assert (answer.status, answer.body) == (201, TAKEN)
    assert answer.headers["ocpi-from-party-id"] == emsp.simulator.party.party_id
    (message,) = emsp.simulator.got
    assert (message.method, message.body) == ("POST", body)
    assert (message.from_party, message.to_party) == (cpo.simulator.party, emsp.simulator.party)
    assert not any(m.module == "cdrs" for r in bystanders for m in r.simulator.got)
    (row,) = kept(f"POST-{is_named}")
    assert bytes(row.document) == body
    assert not Posting.objects.exists()


def test_the_cdr_of_the_text_is_taken_and_kept(hub, cpo, emsp):
    document = json.loads(EXAMPLE.read_text())
    party = cpo.simulator.party
    document |= {"country_code": party.country_code, "party_id": party.party_id.lower()}
    document["cdr_token"] |= emsp.simulator.party._asdict()
    assert post(hub, cpo, document).said == (200, 1000)
    assert len(kept(document["id"])) == 1


def test_a_cdr_for_the_hub_is_never_spread_and_the_emsp_is_named(hub, cpo, emsp, bystanders):
    answer = post(hub, cpo, of(cpo, emsp, "HUB-1"), to=HUB)
    assert answer.said == (200, 4000)
    assert str(emsp.simulator.party) in answer.envelope["status_message"]
    assert not emsp.simulator.got
    assert not kept("HUB-1")


def test_a_credit_cdr_is_a_cdr_of_its_own(hub, cpo, emsp):
    post(hub, cpo, of(cpo, emsp, "CREDITED"))
    credit = of(
        cpo,
        emsp,
        "CREDITED-C",
        credit=True,
        credit_reference_id="CREDITED",
        total_cost={"excl_vat": -4.00},
    )
    assert post(hub, cpo, credit).said == (200, 1000)
    long_id = "x" * 37 + "-C"
    assert post(hub, cpo, credit | {"id": long_id}).said == (200, 1000)
    assert len(kept("CREDITED")) == len(kept("CREDITED-C")) == len(kept(long_id)) == 1


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("field", ["country_code", "party_id"])
def test_a_cdr_of_somebody_else_is_2001_and_goes_nowhere(hub, cpo, emsp, field, is_named):
    forged = of(cpo, emsp, "FORGED") | {field: "QQ"}
    answer = post(hub, cpo, forged, to=emsp if is_named else None)
    assert answer.said == (200, 2001)
    assert field in answer.envelope["status_message"]
    assert not emsp.simulator.got
    assert not kept("FORGED")


def test_the_owner_is_compared_without_case(hub, cpo, emsp):
    document = of(cpo, emsp, "CASE")
    document |= {"party_id": document["party_id"].lower(), "country_code": "xx"}
    assert post(hub, cpo, document).said == (200, 1000)


def test_a_cdr_of_another_party_of_the_platform_is_sent_in_its_own_name(hub, emsp):
    second = new_party()
    platform = hub.join(Stranger(Role.CPO, more=[(second, Role.CPO)]))
    document = cdr(second, emsp.simulator.party, "OTHER-PARTY")
    assert post(hub, platform, document).said == (200, 1000)
    assert emsp.simulator.got[-1].from_party == second
    assert len(kept("OTHER-PARTY")) == 1
    headers = {"OCPI-from-country-code": second[0], "OCPI-from-party-id": second[1]}
    answer = ask(hub, platform, "POST", "receiver/cdrs", body=as_json(document), headers=headers)
    assert answer.said == (200, 1000)
    assert len(emsp.simulator.got) == 1  # Known already.


TOKENS = {
    "no cdr_token": lambda document: document.pop("cdr_token"),
    "null": lambda document: document.update(cdr_token=None),
    "a text": lambda document: document.update(cdr_token="x"),
    "no party": lambda document: document["cdr_token"].pop("party_id"),
    "no such party id": lambda document: document["cdr_token"].update(party_id="TOO LONG"),
    "a number": lambda document: document["cdr_token"].update(country_code=5),
}


@pytest.mark.parametrize("fault", TOKENS)
def test_without_to_a_cdr_without_a_valid_cdr_token_is_4001_that_says_so(hub, cpo, emsp, fault):
    document = of(cpo, emsp, "TOKENLESS")
    TOKENS[fault](document)
    answer = post(hub, cpo, document)
    assert answer.said == (200, 4001)
    assert "cdr_token" in answer.envelope["status_message"]
    assert not emsp.simulator.got


def test_an_emsp_that_is_no_party_here_is_4001_with_its_name(hub, cpo, emsp):
    document = of(cpo, emsp, "STRANGER")
    document["cdr_token"] |= {"country_code": "QQ", "party_id": "QQQ"}
    answer = post(hub, cpo, document)
    assert answer.said == (200, 4001)
    assert "QQ-QQQ" in answer.envelope["status_message"]


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"5",
        b'"x"',
        b"null",
        b'[5,"x"]',
    ],
)
def test_with_to_what_is_no_cdr_is_its_receivers_to_refuse_and_is_not_kept(hub, cpo, emsp, body):
    refusal = b'{"status_code":2001,"timestamp":"2026-01-01T00:00:00Z"}'
    emsp.simulator.says = lambda message: raw(refusal)
    assert post(hub, cpo, body, to=emsp).body == refusal
    emsp.simulator.says = Stranger.says_yes
    for _ in range(2):
        assert post(hub, cpo, body, to=emsp).said == (200, 1000)
    assert [message.body for message in emsp.simulator.got] == [body] * 3
    assert not Posting.objects.exists()


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 5000, b"{} {}"])
def test_what_is_not_json_is_400(hub, cpo, emsp, body):
    for to in (None, emsp):
        assert post(hub, cpo, body, to=to).status == 400
    assert not emsp.simulator.got


def test_a_huge_cdr_is_413(hub, cpo, emsp):
    assert post(hub, cpo, of(cpo, emsp, "HUGE", remark="x" * 1_100_000)).status == 413


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET"])
def test_cdrs_are_neither_replaced_nor_updated_nor_removed(hub, cpo, emsp, method):
    body = None if method in {"GET", "DELETE"} else as_json(of(cpo, emsp, "N/A"))
    answer = ask(hub, cpo, method, "receiver/cdrs", to=emsp, body=body)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert ask(hub, cpo, method, "receiver/cdrs/1", to=emsp, body=body).status == 404
