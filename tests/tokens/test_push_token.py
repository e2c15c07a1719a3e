"""PUT and PATCH of a Token through the hub (mod_tokens, Receiver Interface; Broadcast Push)."""

import json
from pathlib import Path

import pytest

from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from tests.hub.pushing import Owner, settled
from tests.hub.strangers import Stranger, ask, raw, until
from tests.minimal import as_json, owned, token
from tests.running_hub import new_party
from tokens.models import Token

HUB = PartyId("NL", "HUB")
EXAMPLES = Path(__file__).parents[1] / "data" / "ocpi"
LATER = "2026-01-02T00:00:00Z"


@pytest.fixture(scope="module")
def others(hub):
    """One of each role that must not be told of an eMSP's Tokens."""
    return [hub.join(Stranger(role)) for role in (Role.EMSP, Role.NSP, Role.SCSP, Role.NAP)]


@pytest.fixture(scope="module")
def second_cpo(hub):
    return hub.join(Stranger(Role.CPO))


def put(hub, owner, document: dict, *, to=HUB, query: str = "", party: PartyId | None = None):
    path = f"receiver/tokens/{owned(party or owner.simulator.party, document['uid'])}{query}"
    headers = {}
    if party is not None:
        headers = {"OCPI-from-country-code": party[0], "OCPI-from-party-id": party[1]}
    return ask(hub, owner, "PUT", path, to=to, body=as_json(document), headers=headers)


def patch(hub, owner, uid: str, changes: dict, *, to=HUB, query: str = ""):
    path = f"receiver/tokens/{owned(owner.simulator.party, uid)}{query}"
    return ask(hub, owner, "PATCH", path, to=to, body=as_json(changes))


def pushes(running, uid: str) -> list:
    return [m for m in running.simulator.got if m.module == "tokens" and uid in m.parts]


def kept(uid: str) -> list[Token]:
    return list(Token.objects.filter(object_id=uid.upper()).order_by("audience"))


@pytest.mark.parametrize("to", [HUB, None])
@pytest.mark.parametrize("role", [Role.EMSP, Role.OTHER])
def test_a_token_goes_from_the_hub_to_every_cpo_and_to_nobody_else(
    hub, cpo, second_cpo, others, role, to
):
    owner = hub.join(Stranger(role))
    document = token(owner.simulator.party, f"SPREAD-{role}-{to}", n=1.50)
    answer = put(hub, owner, document, to=to)
    assert answer.said == (201, 1000)
    assert "data" not in answer.envelope
    assert answer.headers["ocpi-from-party-id"] == "HUB"
    for running in (cpo, second_cpo):
        message = until(lambda r=running: pushes(r, document["uid"]))[-1]
        assert json.loads(message.body) == document
        assert message.from_party == HUB
        assert message.to_party == running.simulator.party
        assert message.parts == (*owner.simulator.party, document["uid"])
    assert not any(pushes(running, document["uid"]) for running in (owner, *others))


def test_a_type_that_is_left_out_is_said_so_that_all_pushes_of_a_token_go_in_one_order(
    hub, cpo, emsp
):
    put(hub, emsp, token(emsp.simulator.party, "IN-ORDER"))
    settled(cpo)
    patch(hub, emsp, "IN-ORDER", {"valid": False, "last_updated": LATER}, query="?type=rfid")
    until(lambda: any(m.method == "PATCH" for m in pushes(cpo, "IN-ORDER")))
    assert [dict(m.query) for m in pushes(cpo, "IN-ORDER")] == [{"type": "RFID"}] * 2


def test_an_emsp_invalidates_a_token_as_in_the_text(hub, cpo, emsp):
    changes = json.loads((EXAMPLES / "token_patch_example.json").read_text())
    put(hub, emsp, token(emsp.simulator.party, "INVALID", last_updated="2018-01-01T00:00:00Z"))
    settled(cpo)
    assert patch(hub, emsp, "INVALID", changes).said == (200, 1000)
    messages = until(lambda: len(m := pushes(cpo, "INVALID")) == 2 and m)
    assert (messages[1].method, messages[1].json()) == ("PATCH", changes)
    (row,) = kept("INVALID")
    assert json.loads(bytes(row.document)) == token(emsp.simulator.party, "INVALID") | changes


def test_the_token_of_the_text_is_taken(hub, cpo, emsp):
    document = json.loads((EXAMPLES / "token_put_example.json").read_text())
    own = dict(zip(("country_code", "party_id"), emsp.simulator.party, strict=True))
    assert put(hub, emsp, document | own).said == (201, 1000)
    assert put(hub, emsp, document | own).said == (200, 1000)


def test_a_platform_with_both_roles_tells_other_cpos_and_not_itself(hub, cpo):
    emsp_party = new_party()
    both = hub.join(Stranger(Role.CPO, more=[(emsp_party, Role.EMSP)]))
    put(hub, both, token(emsp_party, "BOTH"), party=emsp_party)
    until(lambda: pushes(cpo, "BOTH"))
    assert not pushes(both, "BOTH")


def test_a_party_that_is_cpo_and_emsp_tells_cpos_and_is_told_by_emsps(hub, cpo, emsp, others):
    both = hub.join(Stranger(Role.CPO, Role.EMSP))
    assert put(hub, both, token(both.simulator.party, "TELLS")).code == 1000
    until(lambda: pushes(cpo, "TELLS"))
    assert not any(pushes(running, "TELLS") for running in (emsp, *others))
    put(hub, emsp, token(emsp.simulator.party, "TOLD"))
    assert len(until(lambda: pushes(both, "TOLD"))) == 1


@pytest.mark.parametrize("role", [Role.CPO, Role.NSP, Role.SCSP, Role.NAP])
def test_who_issues_no_tokens_cannot_broadcast_any(hub, cpo, second_cpo, role):
    owner = hub.join(Stranger(role))
    answer = put(hub, owner, token(owner.simulator.party, f"NO-{role}"))
    assert answer.said == (200, 4000)
    assert str(owner.simulator.party) in answer.envelope["status_message"]
    assert not kept(f"NO-{role}")
    assert not pushes(cpo, f"NO-{role}")


def test_uid_and_type_are_the_identity_and_rfid_is_the_default(hub, cpo, emsp):
    party = emsp.simulator.party
    for query, kind in (("", "RFID"), ("?type=app_user", "APP_USER"), ("?type=Other", "OTHER")):
        assert put(hub, emsp, token(party, "Two", type=kind), query=query).said == (201, 1000)
    settled()
    put(hub, emsp, token(party, "tWO", issuer="Again"), query="?type=RFID")
    found = {row.type: json.loads(bytes(row.document)) for row in kept("TWO")}
    assert sorted(found) == ["APP_USER", "OTHER", "RFID"]
    assert found["RFID"]["issuer"] == "Again"
    got = until(lambda: len(m := pushes(cpo, "Two")) == 3 and m)
    assert {message.query.get("type") for message in got} == {"RFID", "APP_USER", "OTHER"}


def test_a_patch_changes_the_token_of_its_type_alone(hub, emsp):
    party = emsp.simulator.party
    put(hub, emsp, token(party, "PATCHED"))
    put(hub, emsp, token(party, "PATCHED", type="APP_USER"), query="?type=APP_USER")
    changes = {"valid": False, "last_updated": LATER}
    assert patch(hub, emsp, "patched", changes, query="?type=APP_USER").said == (200, 1000)
    found = {row.type: json.loads(bytes(row.document))["valid"] for row in kept("PATCHED")}
    assert found == {"RFID": True, "APP_USER": False}


def test_two_emsps_may_use_the_same_uid(hub, emsp):
    other = hub.join(Stranger(Role.EMSP))
    for running in (emsp, other):
        assert put(hub, running, token(running.simulator.party, "SHARED")).said == (201, 1000)
    assert len(kept("SHARED")) == 2


def test_an_older_update_is_neither_stored_nor_sent_on_and_an_equally_old_one_is(hub, cpo, emsp):
    party = emsp.simulator.party
    put(hub, emsp, token(party, "OLD"))
    put(hub, emsp, token(party, "OLD", issuer="Equal"))
    older = {"issuer": "Older", "last_updated": "2025-01-01T00:00:00Z"}
    for answer in (put(hub, emsp, token(party, "OLD", **older)), patch(hub, emsp, "OLD", older)):
        assert answer.said == (200, 1000)
        assert "newer" in answer.envelope["status_message"]
    (row,) = kept("OLD")
    assert json.loads(bytes(row.document))["issuer"] == "Equal"
    assert all(m.json()["issuer"] != "Older" for m in until(lambda: pushes(cpo, "OLD")))


def test_a_token_for_one_cpo_alone_is_its_variant(hub, cpo, second_cpo, emsp):
    party = emsp.simulator.party
    put(hub, emsp, token(party, "VARIANT", issuer="Everybody"))
    put(hub, emsp, token(party, "VARIANT", issuer="One", valid=False), to=cpo)
    owner = Owner(hub, emsp, "tokens")
    said = [owner.kept("VARIANT", viewer=one)["issuer"] for one in (cpo, second_cpo, emsp)]
    assert said == ["One", "Everybody", "Everybody"]
    patch(hub, emsp, "VARIANT", {"language": "nl", "last_updated": LATER})
    rows = [json.loads(bytes(row.document)) for row in kept("VARIANT")]
    assert [(row["issuer"], row["language"]) for row in rows] == [
        ("Everybody", "nl"),
        ("One", "nl"),
    ]


def test_what_the_one_cpo_refuses_is_not_kept(hub, cpo, emsp):
    from_cpo = b'{"status_code":2001,"timestamp":"2026-01-01T00:00:00Z"}'
    cpo.simulator.says = lambda message: raw(from_cpo)
    answer = put(hub, emsp, token(emsp.simulator.party, "REFUSED"), to=cpo)
    assert answer.body == from_cpo
    assert not kept("REFUSED")


def test_a_patch_of_a_token_that_the_hub_does_not_have_is_2004(hub, emsp):
    answer = patch(hub, emsp, "NEVER", {"valid": False, "last_updated": LATER})
    assert answer.said == (200, 2004)
    assert not kept("NEVER")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_tokens_are_neither_posted_nor_removed(hub, emsp, method):
    path = f"receiver/tokens/{owned(emsp.simulator.party, 'X')}"
    answer = ask(hub, emsp, method, path, to=HUB, body=b"{}")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, PUT, PATCH"


def test_only_its_issuer_may_push_a_token(hub, emsp, cpo):
    other = hub.join(Stranger(Role.EMSP))
    path = f"receiver/tokens/{owned(emsp.simulator.party, 'FORGED')}"
    body = as_json(token(emsp.simulator.party, "FORGED"))
    for to in (HUB, None):
        assert ask(hub, other, "PUT", path, to=to, body=body).said == (200, 2001)
    assert not kept("FORGED")


# --- What is refused, and how -------------------------------------------------------------------

WRONG = {
    "another uid": {"uid": "ANOTHER"},
    "another owner": {"party_id": "QQQ"},
    "another type": {"type": "APP_USER"},
    "no such type": {"type": "CARD"},
    "lower case type": {"type": "rfid"},
    "uid too long": {"uid": "x" * 37},
    "uid of control characters": {"uid": "a\u0000b"},
    "contract too long": {"contract_id": "x" * 37},
    "valid as text": {"valid": "true"},
    "no such whitelist": {"whitelist": "SOMETIMES"},
    "no time": {"last_updated": "yesterday"},
    "an impossible time": {"last_updated": "2026-02-30T00:00:00Z"},
    "a time beyond all": {"last_updated": "9999-12-31T23:59:59-14:00"},
    "null": {"issuer": None},
    "a list": {"issuer": []},
    "a number": {"valid": 1},
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_token_that_is_none_is_2001_with_the_field_named(hub, emsp, fault):
    document = token(emsp.simulator.party, "WRONG") | WRONG[fault]
    path = f"receiver/tokens/{owned(emsp.simulator.party, 'WRONG')}"
    answer = ask(hub, emsp, "PUT", path, to=HUB, body=as_json(document))
    assert answer.said == (200, 2001)
    assert next(iter(WRONG[fault])) in answer.envelope["status_message"]
    assert not kept("WRONG")


@pytest.mark.parametrize("field", ["uid", "type", "contract_id", "valid", "last_updated"])
def test_a_missing_field_is_2001_with_its_name(hub, emsp, field):
    document = token(emsp.simulator.party, "MISSING")
    del document[field]
    path = f"receiver/tokens/{owned(emsp.simulator.party, 'MISSING')}"
    answer = ask(hub, emsp, "PUT", path, to=HUB, body=as_json(document))
    assert answer.said == (200, 2001)
    assert f"`{field}`" in answer.envelope["status_message"]


@pytest.mark.parametrize("changes", [{}, {"valid": False}, {"last_updated": None}])
def test_a_patch_without_last_updated_is_2001(hub, emsp, changes):
    put(hub, emsp, token(emsp.simulator.party, "UNDATED"))
    answer = patch(hub, emsp, "UNDATED", changes)
    assert answer.said == (200, 2001)
    assert "last_updated" in answer.envelope["status_message"]


@pytest.mark.parametrize("query", ["?type=CARD", "?type=", "?type=%00", "?type=RFID%20"])
def test_a_type_that_is_none_is_2001(hub, emsp, query):
    answer = put(hub, emsp, token(emsp.simulator.party, "TYPED"), query=query)
    assert answer.said == (200, 2001)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b"[]", 200),
        (b"5", 200),
        (b'"x"', 200),
        (b"[" * 5000, 400),
        (b'{"uid":"\xff"}', 400),
        (b'{"uid":"%s"}' % (b"x" * 1_100_000), 413),
    ],
)
def test_any_other_body_is_an_error_of_its_sender(hub, emsp, body, status):
    path = f"receiver/tokens/{owned(emsp.simulator.party, 'ODD')}"
    answer = ask(hub, emsp, "PUT", path, to=HUB, body=body)
    assert answer.status == status
    assert 2000 <= answer.code < 3000


@pytest.mark.parametrize("uid", ["x" * 5000, "%C3%BC", "%FF", "a%2Fb", "%20", "'%22;--", "%F0%9F"])
def test_absurd_uids_in_the_url_are_no_error_of_the_hub(hub, emsp, uid):
    body = as_json(token(emsp.simulator.party, "ABSURD"))
    path = f"receiver/tokens/{owned(emsp.simulator.party, uid)}"
    assert ask(hub, emsp, "PUT", path, to=HUB, body=body).said == (200, 2001)
    assert ask(hub, emsp, "PATCH", path, to=HUB, body=body).said == (200, 2001)
    assert ask(hub, emsp, "GET", path).status == 404
