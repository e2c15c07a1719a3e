"""Real-time authorization by Open Routing (mod_tokens, POST Method; ocpi/ocpi#420)."""

import asyncio
import json
import threading

import pytest

from hub.models import Agreement
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.routing.directory import holder
from simulators.testing import PATIENCE
from tests.hub.strangers import SENDER, Stranger, ask, raw, until
from tests.minimal import as_json, owned, token
from tests.running_hub import changed_setting, new_party

HUB = PartyId("NL", "HUB")
UNKNOWN = b'{"status_code":2004,"status_message":"who?","timestamp":"2026-01-01T00:00:00Z"}'
TOO_LITTLE = b'{"status_code":2002,"timestamp":"2026-01-01T00:00:00Z"}'
NAMES = ("ann", "bob", "eve")


def info(allowed: str, **more) -> bytes:
    """An answer that says what its eMSP thinks of the Token."""
    data = {"allowed": allowed, "token": {"uid": "x", "n": 1}} | more
    return json.dumps({"timestamp": "2026Z", "data": data, "status_code": 1000}).encode()


@pytest.fixture(scope="module")
def crowd(hub):
    """Three eMSPs; what each says is up to the test."""
    roles = (Role.EMSP, Role.OTHER, Role.EMSP)
    return {name: hub.join(Stranger(role)) for name, role in zip(NAMES, roles, strict=True)}


@pytest.fixture(autouse=True)
def _nobody_knows(request):
    """Whoever is asked knows nothing unless a test says otherwise."""
    if "crowd" in request.fixturenames:
        for running in request.getfixturevalue("crowd").values():
            running.clear_faults()
            running.simulator.says = lambda message: raw(UNKNOWN, 404)
            if not is_connected(running):
                # Who was away is heard again.
                ask(request.getfixturevalue("hub"), running, "GET", "hubclientinfo")
                until(lambda r=running: is_connected(r))
            running.simulator.got.clear()


def is_connected(running) -> bool:
    return holder.current().parties[running.simulator.party].status == "CONNECTED"


def says(running, body: bytes, status: int = 200) -> None:
    running.simulator.says = lambda message: raw(body, status)


def authorize(hub, cpo, uid: str, *, body: bytes | None = None, query: str = "", to=None):
    return ask(hub, cpo, "POST", f"sender/tokens/{uid}/authorize{query}", to=to, body=body)


def broadcast(hub, issuer, uid: str, **more) -> None:
    document = token(issuer.simulator.party, uid, **more)
    path = f"receiver/tokens/{owned(issuer.simulator.party, uid)}?type={document['type']}"
    assert ask(hub, issuer, "PUT", path, to=HUB, body=as_json(document)).said == (201, 1000)


def asked(running) -> list:
    return [m for m in running.simulator.got if m.parts[-1:] == ("authorize",)]


# --- The hub knows the Token ----------------------------------------------------------------------


def test_a_known_token_is_asked_of_its_issuer_alone(hub, cpo, crowd):
    broadcast(hub, crowd["bob"], "Known")
    said = info("ALLOWED", authorization_reference="REF-1", location={"location_id": "L"})
    says(crowd["bob"], said)
    body = b'{"location_id":"LOC1" ,"evse_uids":["E1"],"x":1.50}'
    answer = authorize(hub, cpo, "kNOWN", body=body)
    assert (answer.status, answer.body) == (200, said)
    (message,) = asked(crowd["bob"])
    assert message.body == body
    assert message.parts == ("kNOWN", "authorize")
    assert message.from_party == cpo.simulator.party
    assert message.to_party == crowd["bob"].simulator.party
    assert answer.headers["ocpi-from-party-id"] == crowd["bob"].simulator.party.party_id
    assert answer.headers["ocpi-to-party-id"] == cpo.simulator.party.party_id
    assert not asked(crowd["ann"])
    assert not asked(crowd["eve"])


def test_what_the_issuer_says_is_passed_on_whatever_it_is(hub, cpo, crowd):
    broadcast(hub, crowd["ann"], "ISSUED")
    for body, status in ((UNKNOWN, 404), (TOO_LITTLE, 200), (info("BLOCKED"), 200)):
        says(crowd["ann"], body, status)
        answer = authorize(hub, cpo, "ISSUED")
        assert (answer.status, answer.body) == (status, body)


def test_the_type_is_part_of_the_identity_and_rfid_when_left_out(hub, cpo, crowd):
    broadcast(hub, crowd["ann"], "TYPED", type="APP_USER")
    broadcast(hub, crowd["eve"], "TYPED", type="RFID")
    for query, name in (("", "eve"), ("?type=rfid", "eve"), ("?type=App_User", "ann")):
        says(crowd[name], info("ALLOWED"))
        answer = authorize(hub, cpo, "TYPED", query=query)
        assert answer.headers["ocpi-from-party-id"] == crowd[name].simulator.party.party_id
    assert asked(crowd["ann"])[-1].query == {"type": "App_User"}


def test_a_token_of_two_issuers_is_refused_with_both_named(hub, cpo, crowd):
    for name in ("ann", "bob"):
        broadcast(hub, crowd[name], "TWICE")
    answer = authorize(hub, cpo, "TWICE")
    assert answer.said == (200, 4001)
    for name in ("ann", "bob"):
        assert str(crowd[name].simulator.party) in answer.envelope["status_message"]
        assert not asked(crowd[name])


def test_a_token_that_was_told_to_another_cpo_alone_is_not_known_to_this_one(hub, cpo, crowd):
    other = hub.join(Stranger(Role.CPO))
    party = crowd["ann"].simulator.party
    body = as_json(token(party, "ALONE"))
    ask(hub, crowd["ann"], "PUT", f"receiver/tokens/{owned(party, 'ALONE')}", to=other, body=body)
    for running in crowd.values():
        says(running, info("BLOCKED"))
    authorize(hub, other, "ALONE")
    assert [len(asked(running)) for running in crowd.values()] == [1, 0, 0]
    authorize(hub, cpo, "ALONE")
    assert [len(asked(running)) for running in crowd.values()] == [2, 1, 1]


def test_an_issuer_that_is_gone_is_4003_and_nobody_else_is_asked(hub, cpo, crowd):
    gone = hub.join(Stranger(Role.EMSP, listens=False))
    broadcast(hub, gone, "GONE")
    gone.set_faults(gone=True)
    assert authorize(hub, cpo, "GONE").said == (200, 4003)
    assert not asked(crowd["ann"])


# --- Nobody knows whose it is ---------------------------------------------------------------------


def test_an_unknown_token_is_asked_of_every_emsp_as_sent_and_with_or_without_a_body(
    hub, cpo, crowd
):
    for body in (b'{"location_id":"LOC1","n":1.50}', None):
        answer = authorize(hub, cpo, "NOBODY%20S", body=body, query="?type=APP_USER&x=1")
        assert answer.said == (404, 2004)
        for running in crowd.values():
            message = asked(running)[-1]
            assert message.body == (body or b"")
            assert running.simulator.targets[-1].endswith("/NOBODY%20S/authorize?type=APP_USER&x=1")
            assert message.from_party == cpo.simulator.party
            assert message.to_party == running.simulator.party
    ids = {asked(running)[-1].headers["X-Request-ID"] for running in crowd.values()}
    assert len(ids) == len(crowd)


def test_nobody_knows_it_is_404_with_2004_and_no_data(hub, cpo, crowd):
    answer = authorize(hub, cpo, "NOBODY")
    assert answer.said == (404, 2004)
    assert "data" not in answer.envelope
    assert answer.headers["ocpi-from-party-id"] == "HUB"


ORDER = [
    pytest.param(info("ALLOWED"), info("BLOCKED"), id="ALLOWED before BLOCKED"),
    *(
        pytest.param(info(allowed), TOO_LITTLE, id=f"{allowed} before 2002")
        for allowed in ("BLOCKED", "EXPIRED", "NO_CREDIT", "NOT_ALLOWED")
    ),
    pytest.param(TOO_LITTLE, UNKNOWN, id="2002 before unknown"),
    pytest.param(info("EXPIRED"), b"<h1>?</h1>", id="EXPIRED before nonsense"),
    pytest.param(info("BLOCKED"), b'{"status_code":3000,"timestamp":"T"}', id="before an error"),
    pytest.param(info("BLOCKED"), b'{"status_code":1000,"timestamp":"T"}', id="before no data"),
    pytest.param(info("BLOCKED"), info("PERHAPS"), id="BLOCKED before no AllowedType"),
    pytest.param(info("PERHAPS"), TOO_LITTLE, id="no AllowedType before 2002"),
    pytest.param(info("ALLOWED")[:-1] + b',"x":[1.50]}', info("BLOCKED"), id="byte for byte"),
    *(
        pytest.param(b'{"status_code":1000,"data":%s}' % data, info("BLOCKED"), id=repr(data))
        for data in (b'{"allowed":"allowed"}', b'[{"allowed":"Allowed"}]', b'"ALLOWED"')
    ),
    pytest.param(info("", token={}), UNKNOWN, id="a token before unknown"),
    pytest.param(info("blocked", token=5), UNKNOWN, id="blocked before unknown"),
]


@pytest.mark.parametrize(("more", "less"), ORDER)
@pytest.mark.parametrize("first", ["ann", "eve"])
def test_the_answer_that_says_most_is_passed_on_unchanged(hub, cpo, crowd, more, less, first):
    for name in NAMES:
        says(crowd[name], more if name == first else less)
    answer = authorize(hub, cpo, "RANKED")
    assert (answer.status, answer.body) == (200, more)
    assert answer.headers["ocpi-from-party-id"] == crowd[first].simulator.party.party_id


def test_data_in_a_list_of_one_is_understood(hub, cpo, crowd):
    said = b'{"data":[{"allowed":"ALLOWED"}],"status_code":1000,"timestamp":"T"}'
    says(crowd["bob"], said)
    says(crowd["eve"], info("BLOCKED"))
    assert authorize(hub, cpo, "LISTED").body == said


def test_the_first_allowed_ends_the_asking_at_once(hub, cpo, crowd):
    never = threading.Event()

    async def hangs(message):
        await asyncio.to_thread(never.wait, 2 * PATIENCE)
        return raw(info("BLOCKED"))

    crowd["ann"].simulator.says = hangs
    says(crowd["eve"], info("ALLOWED"))
    try:
        # Neither limit is met while somebody waits for the answer.
        with changed_setting("AUTHORIZE_TIMEOUT", 1000), changed_setting("FORWARD_TIMEOUT", 1000):
            assert authorize(hub, cpo, "QUICK").body == info("ALLOWED")
    finally:
        never.set()


def test_the_asking_is_parallel(hub, cpo, crowd):
    everybody = threading.Barrier(len(crowd))

    async def meets_the_others(message):
        await asyncio.to_thread(everybody.wait, PATIENCE)
        return raw(UNKNOWN, 404)

    for running in crowd.values():
        running.simulator.says = meets_the_others
    with changed_setting("AUTHORIZE_TIMEOUT", PATIENCE):
        assert authorize(hub, cpo, "TOGETHER").said == (404, 2004)
    assert not everybody.broken


def test_no_more_than_the_limit_are_asked_at_the_same_time(hub, cpo, crowd):
    now, most = [], []

    async def counts(message):
        now.append(message)
        most.append(len(now))
        await asyncio.sleep(0.05)
        now.pop()
        return raw(UNKNOWN, 404)

    for running in crowd.values():
        running.simulator.says = counts
    with changed_setting("AUTHORIZE_AT_ONCE", 1):
        assert authorize(hub, cpo, "QUEUE").said == (404, 2004)
    assert (len(most), max(most)) == (3, 1)


def test_dead_and_slow_emsps_in_between_do_not_matter(hub, cpo, crowd):
    never = threading.Event()

    async def hangs(message):
        await asyncio.to_thread(never.wait, 2 * PATIENCE)
        return raw(info("ALLOWED"))

    crowd["ann"].simulator.says = hangs
    crowd["bob"].set_faults(gone=True)
    says(crowd["eve"], info("NO_CREDIT"))
    with changed_setting("AUTHORIZE_TIMEOUT", 1):
        assert authorize(hub, cpo, "SLOW").body == info("NO_CREDIT")
        says(crowd["eve"], UNKNOWN, 404)
        answer = authorize(hub, cpo, "SLOW")
    never.set()
    assert answer.said == (404, 2004)
    assert "did not answer" in answer.envelope["status_message"]


def test_if_nobody_answers_nobody_can_say_that_it_is_unknown(hub, cpo, crowd):
    for running in crowd.values():
        running.set_faults(gone=True)
    assert authorize(hub, cpo, "DEAD").said == (200, 4003)


def test_if_nobody_answers_in_time_the_asking_has_timed_out(hub, cpo, crowd):
    never = threading.Event()

    async def hangs(message):
        await asyncio.to_thread(never.wait, 2 * PATIENCE)
        return raw(UNKNOWN, 404)

    for running in crowd.values():
        running.simulator.says = hangs
    with changed_setting("AUTHORIZE_TIMEOUT", 0.5):
        assert authorize(hub, cpo, "MUTE").said == (200, 4002)
    never.set()


def test_an_emsp_that_refuses_the_hubs_credentials_has_not_answered(hub, cpo, crowd):
    says(crowd["ann"], b'{"status_code":2000,"timestamp":"T"}', 401)
    says(crowd["eve"], info("EXPIRED"))
    assert authorize(hub, cpo, "REJECTED").body == info("EXPIRED")


# --- Who asks and who is asked --------------------------------------------------------------------


def test_only_emsps_with_an_agreement_that_offer_it_are_asked(hub, crowd):
    asking = hub.join(Stranger(Role.CPO))
    strangers = [hub.join(Stranger(role)) for role in (Role.CPO, Role.NSP, Role.SCSP)]
    without = hub.join(Stranger(Role.EMSP, offers=[("tokens", "RECEIVER")]))
    assert (("tokens", SENDER)) not in without.simulator.modules
    one, other = asking.simulator.party, crowd["bob"].simulator.party
    row = Agreement.objects.create(
        country_code_a=one.country_code,
        party_id_a=one.party_id,
        country_code_b=other.country_code,
        party_id_b=other.party_id,
        module="tokens",
        is_open=False,
    )

    def is_left_out() -> bool:
        crowd["bob"].simulator.got.clear()
        assert authorize(hub, asking, "AGREED").said == (404, 2004)
        return not asked(crowd["bob"])

    until(is_left_out)
    row.delete()
    assert asked(crowd["ann"])
    assert not any(asked(running) for running in (asking, *strangers, without))


def test_a_party_that_is_cpo_asks_whatever_else_both_are(hub, crowd):
    both, issuer = (hub.join(Stranger(Role.CPO, Role.EMSP)) for _ in range(2))
    says(issuer, info("ALLOWED"))
    answer = authorize(hub, both, "MIXED")
    assert answer.body == info("ALLOWED")
    assert answer.headers["ocpi-from-party-id"] == issuer.simulator.party.party_id
    assert not asked(both)
    says(issuer, UNKNOWN, 404)


@pytest.mark.parametrize("role", [Role.EMSP, Role.NSP, Role.SCSP, Role.OTHER])
def test_who_is_no_cpo_has_nobody_asked(hub, crowd, role):
    answer = authorize(hub, hub.join(Stranger(role)), "CURIOUS")
    assert answer.said == (200, 4001)
    assert not any(asked(running) for running in crowd.values())


def test_the_cpo_party_of_a_platform_with_both_asks_in_its_own_name(hub, crowd):
    emsp_party = new_party()
    platform = hub.join(Stranger(Role.CPO, more=[(emsp_party, Role.EMSP)]))
    says(crowd["ann"], info("BLOCKED"))
    assert authorize(hub, platform, "WHITELABEL").body == info("BLOCKED")
    assert asked(crowd["ann"])[-1].from_party == platform.simulator.party
    assert not asked(platform)


def test_with_to_that_emsp_alone_is_asked_and_nothing_is_judged(hub, cpo, crowd):
    said = b'{"status_code":1000,"data":"odd","timestamp":"T"}'
    says(crowd["bob"], said)
    query, body = "?type=CARD", b'["no LocationReferences"]'
    answer = authorize(hub, cpo, "DIRECT", to=crowd["bob"], query=query, body=body)
    assert (answer.status, answer.body) == (200, said)
    assert asked(crowd["bob"])[0].body == body
    assert not asked(crowd["ann"])


def test_the_hub_itself_authorizes_nothing(hub, cpo, crowd):
    assert authorize(hub, cpo, "HUBS", to=HUB).said == (200, 4000)


@pytest.mark.parametrize("query", ["?type=CARD", "?type="])
def test_a_type_that_is_none_is_2001(hub, cpo, crowd, query):
    assert authorize(hub, cpo, "TYPELESS", query=query).said == (200, 2001)
    assert not asked(crowd["ann"])


@pytest.mark.parametrize("uid", ["x" * 3000, "%C3%BC", "%FF", "'%22--", "%F0%9F", "a%2Fb"])
def test_absurd_uids_are_unknown_tokens(hub, cpo, crowd, uid):
    assert authorize(hub, cpo, uid).said == (404, 2004)


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 5000])
def test_a_body_that_is_not_json_is_400_and_nobody_is_asked(hub, cpo, crowd, body):
    assert authorize(hub, cpo, "BROKEN", body=body).status == 400
    assert not asked(crowd["ann"])


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_authorize_takes_post_alone(hub, cpo, method):
    assert ask(hub, cpo, method, "sender/tokens/X/authorize", body=b"{}").status == 405
