"""POST of credentials: registration (credentials, Registration)."""

import json
import threading
import time

import pytest
import requests
from aiohttp import web
from django.db import connection, transaction

from hub import handshake, onboarding, still_alive
from hub.models import DirectoryReader, Party, Platform, TokenForm
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.headers import authorization
from hub.ocpi.party import PartyId
from tests.hub.newcomer import CREDENTIALS, Newcomer, role, second_web_process
from tests.hub.strangers import RECEIVER, SENDER, Stranger, ask, routing, send, until
from tests.running_hub import changed_setting, new_party

MODULE = "/ocpi/2.2.1/hubclientinfo"


def _platform(newcomer: Newcomer) -> Platform:
    return Party.objects.filter(party_id=newcomer.party.party_id)[0].platform


def _is_as_it_was(newcomer: Newcomer) -> bool:
    """The invitation stands, and nothing of the failed handshake is left."""
    platform = _platform(newcomer)
    parties = Party.objects.filter(platform=platform)
    return (
        newcomer.opens(newcomer.token_a)
        and not platform.is_registered
        and not platform.token_c_hash
        and not platform.endpoints.exists()
        and {party.status for party in parties} == {"PLANNED"}
        and {party.identity for party in parties} == {newcomer.party}
    )


def test_the_answer_holds_a_new_token_our_versions_url_and_the_role_hub_alone(hub):
    newcomer = Newcomer(hub)
    answer = newcomer.post()
    assert answer.said == (200, 1000)
    data = answer.envelope["data"]
    assert data["url"] == hub.versions_url
    assert [(r["role"], r["country_code"], r["party_id"]) for r in data["roles"]] == [
        ("HUB", "NL", "HUB")
    ]
    assert data["roles"][0]["business_details"]["name"]
    assert 16 <= len(data["token"]) <= 64
    assert all("\x21" <= character <= "\x7e" for character in data["token"])
    assert data["token"] != newcomer.token_a


def test_token_a_is_dead_after_the_handshake_and_token_c_opens_everything(hub):
    newcomer = Newcomer(hub)
    assert newcomer.opens(newcomer.token_a)
    newcomer.post()
    assert not newcomer.opens(newcomer.token_a)
    assert newcomer.ask(MODULE).said == (200, 1000)
    assert newcomer.ask("/ocpi/2.2.1/credentials", newcomer.token_a).status == 401


def test_the_hub_calls_back_with_token_b_and_message_ids_before_it_answers(hub):
    newcomer = Newcomer(hub)
    credentials = newcomer.credentials()
    assert newcomer.say("POST", credentials).said == (200, 1000)
    asked = newcomer.running.received(module="versions")
    assert [message.parts for message in asked] == [(), ("2.2.1",)]
    for message in asked:
        assert message.headers["Authorization"] == authorization(credentials["token"])
        assert message.headers["X-Request-ID"]
        assert message.headers["X-Correlation-ID"]


def test_get_returns_the_credentials_that_the_request_carries(hub):
    newcomer = Newcomer(hub)
    for is_registered in (False, True):
        if is_registered:
            newcomer.post()
        token = newcomer.token
        data = newcomer.ask(CREDENTIALS, token).envelope["data"]
        assert data["token"] == token
        assert data["url"] == hub.versions_url
        assert [r["role"] for r in data["roles"]] == ["HUB"]


@pytest.mark.parametrize("token_is_plain", [False, True])
def test_the_hub_writes_tokens_in_the_form_that_the_platform_used(hub, token_is_plain):
    newcomer = Newcomer(hub)
    header = f"Token {newcomer.token_a}" if token_is_plain else authorization(newcomer.token_a)
    credentials = newcomer.credentials()
    body = json.dumps(credentials).encode()
    answer = send(hub, "POST", CREDENTIALS, body=body, headers={"Authorization": header})
    assert answer.said == (200, 1000)
    wanted = authorization(credentials["token"], base64_encoded=not token_is_plain)
    seen = {m.headers["Authorization"] for m in newcomer.running.received(module="versions")}
    assert seen == {wanted}
    assert _platform(newcomer).token_form == ("PLAIN" if token_is_plain else "BASE64")
    token_c = answer.envelope["data"]["token"]
    other = hub.join(Stranger(Role.EMSP))
    assert ask(hub, other, "GET", "sender/tokens", to=newcomer.party).said == (200, 1000)
    assert newcomer.stranger.got[-1].headers["Authorization"] == wanted
    assert send(hub, "GET", MODULE, headers={"Authorization": f"Token {token_c}"}).status == 200


def test_the_form_of_a_platforms_tokens_can_be_switched(hub):
    newcomer = Newcomer(hub)
    newcomer.post()
    Platform.objects.filter(pk=_platform(newcomer).pk).update(token_form=TokenForm.PLAIN)
    other = hub.join(Stranger(Role.EMSP))
    ask(hub, other, "GET", "sender/tokens", to=newcomer.party)
    header = newcomer.stranger.got[-1].headers["Authorization"]
    assert header in {f"Token {token}" for token in newcomer.stranger.by_token}


def test_a_second_post_is_405_and_changes_nothing(hub):
    newcomer = Newcomer(hub)
    newcomer.post()
    token = newcomer.token
    answer = newcomer.post()
    assert answer.status == 405
    assert 2000 <= answer.code < 3000
    assert newcomer.opens(token)


def test_two_posts_with_one_token_a_at_the_same_moment_register_once(hub):
    newcomer = Newcomer(hub)
    bodies = [newcomer.credentials(), newcomer.credentials()]
    said = _at_once(*(lambda body=body: newcomer.say("POST", body).status for body in bodies))
    assert sorted(said) == [200, 405] or sorted(said) == [200, 401]
    assert newcomer.opens(newcomer.token)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_put_and_delete_before_registration_are_405(hub, method):
    newcomer = Newcomer(hub)
    answer = newcomer.put() if method == "PUT" else newcomer.delete()
    assert answer.status == 405
    assert 2000 <= answer.code < 3000
    assert _is_as_it_was(newcomer)


@pytest.mark.parametrize("is_registered", [False, True])
def test_patch_is_not_defined(hub, is_registered):
    newcomer = Newcomer(hub)
    if is_registered:
        newcomer.post()
    answer = newcomer.say("PATCH", newcomer.credentials())
    assert answer.status == 405
    assert {"GET", "POST", "PUT", "DELETE"} <= set(answer.headers["allow"].split(", "))


# --- What is wrong with the credentials -----------------------------------------------------------


def _without(name: str):
    return lambda credentials: credentials.pop(name)


def _with(**changes):
    return lambda credentials: credentials.update(changes)


def _first_role(**changes):
    return lambda credentials: credentials["roles"][0].update(changes)


WRONG = {
    "no token": _without("token"),
    "no url": _without("url"),
    "no roles": _without("roles"),
    "empty roles": _with(roles=[]),
    "roles no list": _with(roles={}),
    "empty token": _with(token=""),
    "token of 65": _with(token="x" * 65),
    "token with space": _with(token="a b"),
    "token beyond ASCII": _with(token="tökén"),
    "token with newline": _with(token="abc\n"),
    "token a number": _with(token=5),
    "url of 256": _with(url="http://127.0.0.1/" + "x" * 240),
    "url no URL": _with(url="no url"),
    "url relative": _with(url="/ocpi/versions"),
    "url ftp": _with(url="ftp://127.0.0.1/versions"),
    "url with password": _with(url="http://user:secret@127.0.0.1/versions"),
    "url with odd port": _with(url="http://127.0.0.1:99999/versions"),
    "url file": _with(url="file:///etc/passwd"),
    "url with NUL": _with(url="http://127.0.0.1/\x00"),
    "role unknown": _first_role(role="KING"),
    "role missing": lambda credentials: credentials["roles"][0].pop("role"),
    "country of three": _first_role(country_code="NLD"),
    "country odd": _first_role(country_code="N/"),
    "party of four": _first_role(party_id="ABCD"),
    "party empty": _first_role(party_id=""),
    "party odd": _first_role(party_id="A/B"),
    "party beyond ASCII": _first_role(party_id="ÄÖÜ"),
    "no business details": lambda credentials: credentials["roles"][0].pop("business_details"),
    "name of 101": _first_role(business_details={"name": "x" * 101}),
    "name with NUL": _first_role(business_details={"name": "a\x00b"}),
    "twice the same role": lambda credentials: credentials["roles"].append(credentials["roles"][0]),
    "the same role in lower case": lambda credentials: credentials["roles"].append(
        credentials["roles"][0] | {"party_id": credentials["roles"][0]["party_id"].lower()}
    ),
    "the hub itself": _first_role(country_code="nl", party_id="hub"),
}


@pytest.mark.parametrize("break_it", WRONG.values(), ids=WRONG)
def test_wrong_credentials_are_2001_with_http_200_and_leave_all_as_it_was(hub, break_it):
    newcomer = Newcomer(hub)
    credentials = newcomer.credentials()
    break_it(credentials)
    answer = newcomer.say("POST", credentials)
    assert answer.said == (200, 2001)
    assert answer.envelope["status_message"]
    assert _is_as_it_was(newcomer)
    assert newcomer.post().said == (200, 1000)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b"5", b'{"token":1e999}', b"{}"])
def test_json_that_is_no_credentials_object_is_2001(hub, body):
    newcomer = Newcomer(hub)
    assert newcomer.say("POST", body).said == (200, 2001)
    assert _is_as_it_was(newcomer)


def test_unknown_fields_and_full_business_details_are_taken(hub):
    newcomer = Newcomer(hub)
    details = {
        "name": "Näme 充电",
        "website": "https://example.org",
        "logo": {"url": "https://e.org/a.png", "category": "OPERATOR", "type": "png", "width": 5},
        "vendor": [1.5],
    }
    answer = newcomer.post(roles=[role(newcomer.party, business_details=details)], vendor={"a": 1})
    assert answer.said == (200, 1000)
    assert Party.objects.get(platform=_platform(newcomer)).name == "Näme 充电"


# --- 3001, 3002, 3003 -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "switches",
    [
        {"http_500": True},
        {"not_an_envelope": True},
        {"wrong_json": True},
        {"hang_up": True},
        {"gone": True},
        {"hard_coded_https": True},
        {"big_answer": 30_000},
    ],
    ids=lambda switches: next(iter(switches)),
)
def test_a_versions_endpoint_that_cannot_be_used_is_3001(hub, switches):
    newcomer = Newcomer(hub)
    newcomer.running.set_faults(**switches)
    with changed_setting("MAX_ANSWER_BYTES", 20_000):
        answer = newcomer.post()
    assert answer.said == (200, 3001)
    newcomer.running.clear_faults()
    assert _is_as_it_was(newcomer)
    assert newcomer.post().said == (200, 1000)


def test_a_versions_endpoint_that_never_answers_is_3001_within_the_time_limit(hub):
    newcomer = Newcomer(hub)
    newcomer.running.set_faults(slow=60)
    before, handshake.SECONDS = handshake.SECONDS, 0.3
    try:
        assert newcomer.post().said == (200, 3001)
    finally:
        handshake.SECONDS = before
    newcomer.running.clear_faults()
    assert _is_as_it_was(newcomer)


def test_a_token_b_that_the_platform_does_not_take_itself_is_3001(hub):
    newcomer = Newcomer(hub)
    assert newcomer.post(token="never-told-to-anybody").said == (200, 3001)
    assert _is_as_it_was(newcomer)


@pytest.mark.parametrize("body", [b'{"status_code":1000,"data":["\xff"]}', b"\xff", b"[" * 9000])
def test_bytes_that_are_no_text_are_3001(hub, body):
    newcomer = Newcomer(hub)

    async def answer(request):
        return web.Response(body=body, content_type="application/json")

    newcomer.stranger._protocol.request_handler = answer
    assert newcomer.post().said == (200, 3001)
    assert _is_as_it_was(newcomer)


def _answers(newcomer: Newcomer, data: object, path: str) -> None:
    """Let the platform say this to a GET of `versions` or of its `details`."""
    before = newcomer.stranger._versions

    def versions(message):
        reply = before(message)
        if bool(message.parts) == (path == "details"):
            reply.data = data
        return reply

    newcomer.stranger._versions = versions


@pytest.mark.parametrize(
    "data",
    [[], [{"version": "2.1.1", "url": "http://127.0.0.1/x"}], [{"version": "2.2", "url": "x"}]],
)
def test_no_version_in_common_is_3002(hub, data):
    newcomer = Newcomer(hub)
    _answers(newcomer, data, "versions")
    answer = newcomer.post()
    assert answer.said == (200, 3002)
    assert "2.2.1" in answer.envelope["status_message"]
    assert _is_as_it_was(newcomer)


@pytest.mark.parametrize(
    "data", [{}, "x", None, [{"version": "2.2.1"}], [{"version": "2.2.1", "url": "/x"}]]
)
def test_versions_that_cannot_be_read_are_3001(hub, data):
    newcomer = Newcomer(hub)
    _answers(newcomer, data, "versions")
    assert newcomer.post().said == (200, 3001)
    assert _is_as_it_was(newcomer)


def _endpoint(identifier: str, url: str = "http://127.0.0.1/x", as_role: str = "SENDER"):
    return {"identifier": identifier, "role": as_role, "url": url}


@pytest.mark.parametrize(
    "endpoints",
    [
        [],
        [_endpoint("credentials")],
        [_endpoint("credentials"), _endpoint("hubclientinfo", as_role="RECEIVER")],
        [_endpoint("versions"), _endpoint("credentials")],
    ],
)
def test_no_functional_module_at_all_is_3003(hub, endpoints):
    newcomer = Newcomer(hub)
    _answers(newcomer, {"version": "2.2.1", "endpoints": endpoints}, "details")
    assert newcomer.post().said == (200, 3003)
    assert _is_as_it_was(newcomer)


@pytest.mark.parametrize(
    "endpoint",
    [
        _endpoint("sessions", "no url"),
        _endpoint("sessions", "/relative"),
        _endpoint("sessions", "http://127.0.0.1/" + "x" * 250),
        _endpoint("credentials", "http://127.0.0.1/" + "x" * 250),
        _endpoint("credentials", "no url"),
        _endpoint("x" * 65),
        _endpoint("x" * 300),
        _endpoint("sessions", "http://127.0.0.1/\x00"),
        _endpoint("cust\x00om"),
        _endpoint("sessions", "http://user:secret@127.0.0.1/"),
        {"identifier": "sessions", "role": "KING", "url": "http://127.0.0.1/x"},
        {"identifier": 5, "role": "SENDER", "url": "http://127.0.0.1/x"},
        {"role": "SENDER", "url": "http://127.0.0.1/x"},
    ],
    ids=str,
)
def test_an_endpoint_that_nobody_could_use_is_3001_and_never_a_500(hub, endpoint):
    newcomer = Newcomer(hub)
    endpoints = [_endpoint("locations"), endpoint]
    _answers(newcomer, {"version": "2.2.1", "endpoints": endpoints}, "details")
    assert newcomer.post().said == (200, 3001)
    assert _is_as_it_was(newcomer)


def test_a_custom_module_credentials_without_role_and_doubled_endpoints_are_taken(hub):
    newcomer = Newcomer(hub)
    endpoints = [
        {"identifier": "credentials", "url": "http://127.0.0.1/c"},
        _endpoint("Locations"),
        _endpoint("locations"),
        _endpoint("nltnm-tokens", as_role="RECEIVER"),
    ]
    _answers(newcomer, {"version": "2.2.1", "endpoints": endpoints, "x": 1}, "details")
    assert newcomer.post().said == (200, 1000)


@pytest.mark.parametrize("switch", ["data_as_list", "no_message_ids", "clientinfo_path"])
def test_a_platform_that_does_it_as_real_ones_do_can_register(hub, switch):
    newcomer = Newcomer(hub)
    newcomer.running.set_faults(**{switch: True})
    assert newcomer.post().said == (200, 1000)


def test_a_versions_endpoint_behind_a_redirect_for_its_slash_is_found(hub):
    newcomer = Newcomer(hub)

    async def answer(request):
        if request.rel_url.raw_path.endswith("/"):
            return await before(request)
        raise_to = f"{request.rel_url.raw_path}/"
        return web.Response(status=307, headers={"Location": raise_to})

    before = newcomer.stranger._answer
    newcomer.stranger._protocol.request_handler = answer
    assert newcomer.post().said == (200, 1000)


# --- Addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/versions",
        "http://localhost/versions",
        "http://10.1.2.3/versions",
        "http://192.168.0.1/versions",
        "http://172.16.0.1/versions",
        "http://169.254.169.254/latest/meta-data",
        "http://0.0.0.0/versions",
        "http://[::1]/versions",
        "http://[::ffff:127.0.0.1]/versions",
        "http://[fe80::1]/versions",
        "http://[fc00::1]/versions",
        "http://2130706433/versions",
        "http://127.1/versions",
        "http://0x7f.0.0.1/versions",
    ],
)
def test_a_private_url_is_refused_where_private_urls_are_not_allowed(hub, url):
    newcomer = Newcomer(hub)
    with changed_setting("ALLOW_PRIVATE_URLS", False):
        assert newcomer.post(url=url).code in {2001, 3001}
    assert not newcomer.stranger.received
    assert _is_as_it_was(newcomer)


def test_http_is_refused_where_https_is_demanded(hub):
    newcomer = Newcomer(hub)
    with changed_setting("ALLOW_HTTP_URLS", False):
        assert newcomer.post().said == (200, 2001)
    assert not newcomer.stranger.received


def test_version_details_may_not_lead_into_a_private_network_either(hub):
    newcomer = Newcomer(hub)
    endpoints = [_endpoint("locations", "http://10.0.0.1/x")]
    _answers(newcomer, {"version": "2.2.1", "endpoints": endpoints}, "details")
    with changed_setting("ALLOW_PRIVATE_URLS", False):
        # Its own loopback address is refused as well; nothing but a refusal may come.
        assert newcomer.post().code in {2001, 3001}
    assert _is_as_it_was(newcomer)


# --- Parties --------------------------------------------------------------------------------------


def test_several_roles_and_parties_live_on_one_platform(hub):
    second, third = new_party("BE"), new_party("lu")
    newcomer = Newcomer(
        hub, Role.CPO, Role.EMSP, more=((second, Role.CPO), (third, Role.NSP), (third, Role.OTHER))
    )
    assert newcomer.post().said == (200, 1000)
    parties = Party.objects.filter(platform=_platform(newcomer))
    assert {(party.identity, party.role, party.status) for party in parties} == {
        (newcomer.party, "CPO", "CONNECTED"),
        (newcomer.party, "EMSP", "CONNECTED"),
        (second, "CPO", "CONNECTED"),
        (PartyId("LU", third.party_id), "NSP", "CONNECTED"),
        (PartyId("LU", third.party_id), "OTHER", "CONNECTED"),
    }


@pytest.mark.parametrize("spelling", [str.upper, str.lower])
def test_a_party_of_another_platform_is_refused_and_the_first_stays(hub, spelling):
    first = Newcomer(hub, Role.CPO)
    first.post()
    second = Newcomer(hub, Role.EMSP)
    stolen = role(first.party, "EMSP", party_id=spelling(first.party.party_id))
    answer = second.post(roles=[role(second.party, "EMSP"), stolen])
    assert answer.said == (200, 2001)
    assert str(first.party) in answer.envelope["status_message"]
    assert _is_as_it_was(second)
    assert [p.role for p in Party.objects.filter(party_id__iexact=first.party.party_id)] == ["CPO"]
    assert first.opens(first.token)


def test_a_party_that_is_only_invited_is_not_for_others_to_take(hub):
    invited = new_party()
    token = onboarding.invite(invited, [Role.CPO], "").token
    thief = Newcomer(hub)
    assert thief.post(roles=[role(thief.party), role(invited)]).said == (200, 2001)
    assert thief.opens(token)


def _at_once(*calls):
    """What each call returns; all begin at the same moment."""
    gate = threading.Barrier(len(calls))
    results = {}

    def run(number, call):
        gate.wait(10)
        results[number] = call()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [results[number] for number in range(len(calls))]


@pytest.mark.parametrize("turn", range(2))
def test_of_two_that_claim_the_same_parties_at_the_same_moment_one_gets_them(hub, turn):
    wanted = [new_party(), new_party()]
    rivals = [Newcomer(hub), Newcomer(hub)]
    bodies = [
        rival.credentials(roles=[role(rival.party), *(role(party) for party in order)])
        for rival, order in zip(rivals, (wanted, wanted[::-1]), strict=True)
    ]
    answers = _at_once(
        *(lambda r=r, b=b: r.say("POST", b).said for r, b in zip(rivals, bodies, strict=True))
    )
    assert sorted(answers) == [(200, 1000), (200, 2001)]
    winner, loser = rivals if answers[0] == (200, 1000) else rivals[::-1]
    owners = {Party.objects.get(party_id=party.party_id).platform_id for party in wanted}
    assert owners == {_platform(winner).pk}
    assert _is_as_it_was(loser)


def _waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
        return int(cursor.fetchone()[0])


def test_writing_down_who_was_heard_and_registering_do_not_lock_each_other_out(hub):
    """The invited platform has just been heard, and nothing is known of its health yet."""
    newcomer = Newcomer(hub)
    platform = _platform(newcomer)
    answers = []

    def write_heard():
        still_alive.write_heard({platform.pk: time.time()})
        connection.close()

    threads = [
        threading.Thread(target=lambda: answers.append(newcomer.post().said)),
        threading.Thread(target=write_heard),
    ]
    with transaction.atomic():
        # The registration stops here, with the platform locked.
        list(platform.parties.select_for_update())
        for number, thread in enumerate(threads, start=1):
            thread.start()
            until(lambda number=number: _waiting_for_locks() >= number)
    for thread in threads:
        thread.join(20)
    assert answers == [(200, 1000)]


def test_parties_beyond_the_invitation_are_taken_when_free(hub):
    newcomer = Newcomer(hub)
    extra = new_party()
    assert newcomer.post(roles=[role(newcomer.party), role(extra, "EMSP")]).said == (200, 1000)
    assert Party.objects.get(party_id=extra.party_id).status == ConnectionStatus.CONNECTED
    other = hub.join(Stranger(Role.CPO))
    assert ask(hub, other, "GET", "sender/tokens", to=extra).said == (200, 1000)


def test_parties_beyond_the_invitation_stay_planned_until_the_operator_agrees(hub):
    newcomer = Newcomer(hub)
    extra = new_party()
    other = hub.join(Stranger(Role.CPO))
    with changed_setting("ACCEPT_UNINVITED_PARTIES", False):
        answer = newcomer.post(roles=[role(newcomer.party), role(extra, "EMSP")])
        assert answer.said == (200, 1000)
        assert Party.objects.get(party_id=extra.party_id).status == ConnectionStatus.PLANNED
        assert newcomer.put(roles=[role(newcomer.party), role(extra, "EMSP")]).code == 1000
        assert Party.objects.get(party_id=extra.party_id).status == ConnectionStatus.PLANNED
    assert ask(hub, other, "GET", "sender/tokens", to=extra).said == (200, 4003)
    headers = routing(other.simulator.party, extra)
    sent = send(hub, "GET", "/ocpi/2.2.1/sender/tokens", newcomer.token, headers=headers)
    assert sent.code == 2000
    assert ask(hub, other, "GET", "sender/tokens", to=newcomer.party).said == (200, 1000)
    onboarding.agree(extra)
    until(lambda: ask(hub, other, "GET", "sender/tokens", to=extra).said == (200, 1000))


def test_an_invited_party_that_its_platform_does_not_name_stays_planned(hub):
    newcomer = Newcomer(hub)
    came = new_party()
    assert newcomer.post(roles=[role(came)]).said == (200, 1000)
    assert Party.objects.get(party_id=newcomer.party.party_id).status == "PLANNED"
    other = hub.join(Stranger(Role.EMSP))
    assert ask(hub, other, "GET", "sender/tokens", to=came).said == (200, 1000)
    assert ask(hub, other, "GET", "sender/tokens", to=newcomer.party).said == (200, 4003)


def test_an_invitation_for_a_party_that_is_registered_is_refused(hub):
    newcomer = Newcomer(hub)
    newcomer.post()
    with pytest.raises(onboarding.CannotInvite):
        onboarding.invite(newcomer.party, [Role.CPO], "")
    assert newcomer.opens(newcomer.token)


def test_a_second_invitation_ends_the_first(hub):
    newcomer = Newcomer(hub)
    again = onboarding.invite(newcomer.party, [Role.CPO], "").token
    assert newcomer.opens(again)
    assert not newcomer.opens(newcomer.token_a)


def test_interfaces_that_are_offered_are_stored_with_their_urls(hub):
    offers = (("tokens", SENDER), ("sessions", RECEIVER))
    newcomer = Newcomer(hub, offers=offers)
    newcomer.post()
    stored = {(e.identifier, InterfaceRole(e.role)) for e in _platform(newcomer).endpoints.all()}
    assert stored >= set(offers)
    assert ("tokens", RECEIVER) not in stored


# --- The other web process ------------------------------------------------------------------------


def test_a_second_web_process_knows_every_change_when_it_has_been_answered(hub):
    newcomer = Newcomer(hub)
    other = hub.join(Stranger(Role.EMSP))
    with second_web_process() as url:

        def status(token, path="/ocpi/2.2.1/hubclientinfo"):
            headers = {"Authorization": authorization(token)} | routing(newcomer.party)
            return requests.get(f"{url}{path}", headers=headers, timeout=20)

        assert status(newcomer.token_a, "/ocpi/versions").status_code == 200
        for _ in range(3):
            old = newcomer.token
            assert (newcomer.post() if old == newcomer.token_a else newcomer.put()).code == 1000
            assert status(old).status_code == 401
            assert status(newcomer.token).status_code == 200
        there = status(other.simulator.hub.sends, "/ocpi/2.2.1/sender/tokens")
        assert there.json()["status_code"] == 1000
        assert newcomer.delete().code == 1000
        assert status(newcomer.token).status_code == 401
        gone = status(other.simulator.hub.sends, "/ocpi/2.2.1/sender/tokens")
        assert gone.json()["status_code"] == 4003
        assert DirectoryReader.objects.filter(worker__startswith="web-2").count() == 1
    # Stopped in order, it is waited for no more.
    assert not DirectoryReader.objects.filter(worker__startswith="web-2").exists()
