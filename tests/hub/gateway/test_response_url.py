"""response_url: rewritten on the way there, working on the way back (mod_commands, facts)."""

import asyncio
import json
from datetime import timedelta
from urllib.parse import quote, urlsplit

import pytest
from django.utils import timezone

from hub.models import ForwardedUrl
from hub.ocpi.datatypes import Role
from hub.parties import onboarding
from tests.hub.strangers import CUSTOM, Stranger, ask, raw, routing, send, token_of, until
from tests.running_hub import changed_setting, new_party

START = "receiver/commands/START_SESSION"
RESULT = b'{ "result":"ACCEPTED","message":[{"language":"de","text":"l\xc3\xa4uft"}],"n":1.50}'


def _url(stranger, rest: str = "/ocpi/2.2.1/sender/commands/START_SESSION/1") -> str:
    return f"{stranger.simulator.url}/api{rest}"


def _command(url: str) -> bytes:
    return b'{"token": {"uid":"1","n":1.50}, "response_url":%s ,"x":1e3}' % json.dumps(url).encode()


def _rewritten(hub, emsp, cpo, url: str) -> str:
    """The URL that the CPO gets for the eMSP's."""
    assert ask(hub, emsp, "POST", START, to=cpo, body=_command(url)).said == (200, 1000)
    return cpo.simulator.got[-1].json()["response_url"]


def test_the_cpo_gets_a_url_of_the_hub_and_everything_else_as_it_was(hub, cpo, emsp):
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    assert url.startswith(f"{hub.url}/ocpi/2.2.1/via/")
    assert len(url) <= 255
    body = cpo.simulator.got[-1].body
    assert b'"n":1.50' in body
    assert b"1e3" in body
    names = [name for name, _ in json.loads(body, object_pairs_hook=list)]
    assert names == ["token", "response_url", "x"]


def test_two_commands_get_two_urls_that_nobody_can_guess(hub, cpo, emsp):
    urls = {_rewritten(hub, emsp, cpo, _url(emsp)) for _ in range(3)}
    assert len(urls) == 3
    assert all(len(url.rpartition("/")[2]) >= 22 for url in urls)


def test_the_result_reaches_the_sender_byte_for_byte(hub, cpo, emsp):
    url = _rewritten(hub, emsp, cpo, _url(emsp, "/ocpi/2.2.1/sender/commands/X/1%2F2?a=b&c=%20"))
    emsp.simulator.says = lambda message: raw(b'{"status_code":1000,"timestamp":"T" }')
    answer = ask(hub, cpo, "POST", url, to=emsp, body=RESULT, headers={"X-Correlation-ID": "corr"})
    assert answer.body == b'{"status_code":1000,"timestamp":"T" }'
    (message,) = emsp.simulator.got
    assert message.body == RESULT
    assert emsp.simulator.targets == ["/api/ocpi/2.2.1/sender/commands/X/1%2F2?a=b&c=%20"]
    assert message.connection is emsp.simulator.hub
    assert (message.from_party, message.to_party) == (cpo.simulator.party, emsp.simulator.party)
    assert message.headers["X-Correlation-ID"] == "corr"
    assert answer.headers["x-correlation-id"] == "corr"
    assert answer.headers["ocpi-to-party-id"] == cpo.simulator.party.party_id
    assert answer.headers["ocpi-from-party-id"] == emsp.simulator.party.party_id


def test_a_url_works_more_than_once_since_a_reservation_may_be_cancelled_later(hub, cpo, emsp):
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    for _ in range(3):
        assert ask(hub, cpo, "POST", url, to=emsp, body=RESULT).said == (200, 1000)
    assert len(emsp.simulator.got) == 3


def test_the_callback_may_come_before_the_answer_to_the_command(hub, cpo, emsp):
    """The hub has to serve other requests while it waits for a receiver."""

    async def calls_back_first(message):
        url = message.json()["response_url"]
        answer = await asyncio.to_thread(ask, hub, cpo, "POST", url, to=emsp, body=RESULT)
        assert answer.said == (200, 1000)
        return raw()

    cpo.simulator.says = calls_back_first
    assert ask(hub, emsp, "POST", START, to=cpo, body=_command(_url(emsp))).said == (200, 1000)
    assert emsp.simulator.got[0].body == RESULT


@pytest.mark.parametrize("tail", ["", "/", "?dropped=query"])
def test_a_callback_without_any_routing_header_and_with_an_odd_tail_arrives(hub, cpo, emsp, tail):
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    assert send(hub, "POST", url + tail, token_of(cpo), body=RESULT).said == (200, 1000)
    message = emsp.simulator.got[-1]
    assert (message.from_party, message.to_party) == (cpo.simulator.party, emsp.simulator.party)


def test_the_senders_errors_come_back_unchanged(hub, cpo, emsp):
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    said = b'{"status_code":2001,"status_message":"?","timestamp":"2026-01-01T00:00:00Z"}'
    emsp.simulator.says = lambda message: raw(said, 404)
    answer = ask(hub, cpo, "POST", url, to=emsp, body=RESULT)
    assert (answer.status, answer.body) == (404, said)


# --- Who may use it -------------------------------------------------------------------------------


def test_somebody_elses_callback_url_is_404_and_nothing_is_sent(hub, cpo, emsp):
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    thief = hub.join(Stranger(Role.CPO, listens=False))
    for party in (thief, emsp):
        answer = ask(hub, party, "POST", url, to=emsp, body=RESULT)
        assert answer.status == 404
        assert answer.code == 2000
    assert not emsp.simulator.got
    assert ask(hub, cpo, "POST", url, to=emsp, body=RESULT).said == (200, 1000)


def test_a_from_of_somebody_else_is_refused_on_the_way_back_too(hub, cpo, emsp):
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    for forged in (emsp.simulator.party, ("XX", "ZZZ")):
        headers = {"OCPI-from-country-code": forged[0], "OCPI-from-party-id": forged[1]}
        answer = send(hub, "POST", url, token_of(cpo), body=RESULT, headers=headers)
        assert answer.said == (200, 2001)
    half = {"OCPI-from-country-code": "XX"}
    answer = send(hub, "POST", url, token_of(cpo), body=RESULT, headers=half)
    assert answer.said == (200, 2001)
    assert not emsp.simulator.got


def test_a_suspended_caller_gets_nothing_through(hub, emsp):
    cpo = hub.join(Stranger(Role.CPO, listens=False))
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    onboarding.suspend(cpo.simulator.party)
    answer = until(
        lambda: (a := ask(hub, cpo, "POST", url, to=emsp, body=RESULT)).status == 403 and a
    )
    assert answer.code == 2000
    onboarding.resume(cpo.simulator.party)
    until(lambda: ask(hub, cpo, "POST", url, to=emsp, body=RESULT).said == (200, 1000))


def test_a_suspended_owner_gets_nothing(hub, cpo):
    emsp = hub.join(Stranger(Role.EMSP, listens=False))
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    onboarding.suspend(emsp.simulator.party)
    until(lambda: ask(hub, cpo, "POST", url, to=emsp, body=RESULT).said == (200, 4003))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_response_url_takes_post_alone(hub, cpo, emsp, method):
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    body = RESULT if method in {"PUT", "PATCH"} else None
    answer = ask(hub, cpo, method, url, to=emsp, body=body)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert not emsp.simulator.got


def test_a_result_that_is_not_json_is_400(hub, cpo, emsp):
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    assert ask(hub, cpo, "POST", url, to=emsp, body=b"{").status == 400
    assert not emsp.simulator.got


def test_a_url_past_its_time_is_404(hub, cpo, emsp):
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    row = ForwardedUrl.objects.filter(key=url.rpartition("/")[2])
    assert row.get().valid_until > timezone.now() + timedelta(days=1)
    row.update(valid_until=timezone.now() - timedelta(seconds=1))
    assert ask(hub, cpo, "POST", url, to=emsp, body=RESULT).status == 404


def test_an_owner_that_is_gone_is_4003_and_one_that_hangs_4002(hub, cpo):
    emsp = hub.join(Stranger(Role.EMSP, listens=False))
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    emsp.set_faults(gone=True)
    assert ask(hub, cpo, "POST", url, to=emsp, body=RESULT).said == (200, 4003)


# --- What cannot be a response_url ----------------------------------------------------------------

WRONG = [
    "",
    "x",
    "/relative",
    "ftp://127.0.0.1/x",
    "http://",
    "http://a b/",
    "http://u:p@127.0.0.1/",
]
WRONG += ["http://127.0.0.1:99999/", "http://127.0.0.1/\u0000", "http://127.0.0.1/" + "x" * 239]
WRONG += ["http://a..b/", f"http://{'x' * 64}.org/"]
WRONG += ["http://127.0.0.1/€", "http://127.0.0.1/\xe9"]
WRONG += ["javascript:alert(1)", "http://[::1/", "file:///etc/passwd", "http:///x"]


@pytest.mark.parametrize("url", WRONG)
def test_a_response_url_that_nobody_could_call_is_2001(hub, cpo, emsp, url):
    answer = ask(hub, emsp, "POST", START, to=cpo, body=_command(url))
    assert answer.said == (200, 2001)
    assert "response_url" in answer.envelope["status_message"]
    assert not cpo.simulator.got


@pytest.mark.parametrize("value", ["5", "true", "{}", '["http://127.0.0.1/"]'])
def test_a_response_url_that_is_no_string_is_2001(hub, cpo, emsp, value):
    body = b'{"response_url":%s}' % value.encode()
    assert ask(hub, emsp, "POST", START, to=cpo, body=body).said == (200, 2001)
    assert not cpo.simulator.got


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://localhost:1/x",
        "http://10.0.0.1/x",
        "http://192.168.1.1/x",
        "http://169.254.169.254/latest",
        "http://[::1]/x",
        "http://[::ffff:10.0.0.1]/x",
        "http://2130706433/x",
        "http://0/x",
    ],
)
def test_a_response_url_into_a_private_network_is_2001_when_that_is_not_allowed(
    hub, cpo, emsp, url
):
    with changed_setting("ALLOW_PRIVATE_URLS", False):
        answer = ask(hub, emsp, "POST", START, to=cpo, body=_command(url))
        query = f"sender/{CUSTOM}?response_url={quote(url, safe='')}"
        in_query = ask(hub, emsp, "GET", query, to=cpo)
    assert answer.said == in_query.said == (200, 2001)
    assert "private" in answer.envelope["status_message"]
    assert not cpo.simulator.got


def test_a_private_address_is_refused_at_the_time_of_the_call_too(hub, cpo, emsp):
    """So a name that resolved to a public address when it was checked gains nothing."""
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    with changed_setting("ALLOW_PRIVATE_URLS", False):
        answer = ask(hub, cpo, "POST", url, to=emsp, body=RESULT)
    assert answer.said == (200, 4003)
    assert not emsp.simulator.got


ATTACKS = [
    '{"response\\u005furl":"%s"}',
    '{"Response_URL":"%s"}',
    '{"responseUrl":"%s"}',
    '{"re\u017fponse_url":"%s"}',
]
REFUSED = [
    '{"response_url":"http://127.0.0.1:1/","response\\u005furl":"%s"}',
    '{"response_url":"http://127.0.0.1:1/","response_url":"%s"}',
    '{"response_url":"http://127.0.0.1:1/","token":{"response_url":"%s"}}',
    '[{"response_url":"%s"}]',
]


@pytest.mark.parametrize("body", ATTACKS)
def test_whatever_it_is_spelled_as_the_cpo_gets_a_url_of_the_hub(hub, cpo, emsp, body):
    url = _url(emsp)
    sent = (body % url).encode()
    assert ask(hub, emsp, "POST", START, to=cpo, body=sent).said == (200, 1000)
    got = cpo.simulator.got[-1].body
    assert url.encode() not in got
    own = json.loads(got).popitem()[1]
    assert got == (body % own).encode()
    assert ask(hub, cpo, "POST", own, to=emsp, body=RESULT).said == (200, 1000)
    assert emsp.simulator.got[-1].body == RESULT


@pytest.mark.parametrize("body", REFUSED)
def test_a_second_one_or_one_that_stands_deeper_is_2001_with_the_reason(hub, cpo, emsp, body):
    answer = ask(hub, emsp, "POST", START, to=cpo, body=(body % _url(emsp)).encode())
    assert answer.said == (200, 2001)
    assert "response_url" in answer.envelope["status_message"]
    assert not cpo.simulator.got


@pytest.mark.parametrize(
    "path",
    [
        "START_SESSION?RESPONSE_URL=http://127.0.0.1:1/&response_url=http://127.0.0.1:2/",
        "START_SESSION?x=1;response_url=http://127.0.0.1:1/",
        "START_SESSION;response_url=http:%2F%2F127.0.0.1:1%2F",
    ],
)
def test_one_that_hides_in_the_url_of_a_command_is_2001(hub, cpo, emsp, path):
    target = f"receiver/commands/{path}"
    answer = ask(hub, emsp, "POST", target, to=cpo, body=_command(_url(emsp)))
    assert answer.said == (200, 2001)
    assert not cpo.simulator.got


def test_in_the_query_of_a_command_it_is_replaced_too(hub, cpo, emsp):
    path = f"{START}?response%5Furl={quote(_url(emsp), safe='')}"
    assert ask(hub, emsp, "POST", path, to=cpo, body=_command(_url(emsp))).said == (200, 1000)
    message = cpo.simulator.got[-1]
    assert message.query["response_url"].startswith(hub.url)
    assert message.json()["response_url"].startswith(hub.url)


def test_a_result_that_tells_back_what_it_was_sent_arrives_as_it_is(hub, cpo, emsp):
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    result = b'{"result":"ACCEPTED", "response_url":"%s","x":{"response_url":"y"}}' % url.encode()
    assert ask(hub, cpo, "POST", url, to=emsp, body=result).said == (200, 1000)
    assert emsp.simulator.got[-1].body == result


def test_a_result_names_no_callback_of_the_cpos(hub, cpo, emsp):
    url = _rewritten(hub, emsp, cpo, _url(emsp))
    foreign = _url(cpo)
    result = b'{"result":"ACCEPTED","response_url":"%s"}' % foreign.encode()
    assert ask(hub, cpo, "POST", url, to=emsp, body=result).said == (200, 1000)
    got = emsp.simulator.got[-1].json()["response_url"]
    assert got.startswith(f"{hub.url}/ocpi/2.2.1/via/")


def test_a_url_of_255_characters_is_taken(hub, cpo, emsp):
    url = _url(emsp)
    url += "/" + "x" * (254 - len(url))
    assert len(url) == 255
    assert _rewritten(hub, emsp, cpo, url).startswith(hub.url)


# --- Where a response_url is none -----------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":{"response_url":"http://127.0.0.1/x"}}',
        b'{"a":"\\"response_url\\""}',
        b'{"response_url":null}',
        b'["response_url"]',
        b'[{"response_url":"http://127.0.0.1/x"}]',
        b'"\\"response_url\\""',
        b'{"response_urls":"response_url"}',
    ],
)
def test_what_only_looks_like_one_is_left_as_it_is(hub, cpo, emsp, body):
    answer = ask(hub, emsp, "PUT", f"receiver/{CUSTOM}/1", to=cpo, body=body)
    assert answer.said == (200, 1000)
    assert cpo.simulator.got[0].body == body


# --- In the query ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("response_url={encoded}", "{url}"),
        ("duration=900&response_url={encoded}", "{url}"),
        ("response_url={encoded}&duration=900", "{url}"),
        ("response_url={url}", "{url}"),
        ("duration=900&response_url={url}", "{url}"),
        ("response_url={url}&duration=900", "{url}"),
        ("duration=900&response_url={url}?a=b&c=d", "{url}?a=b&c=d"),
        ("response_url={url}?a=b&c=d", "{url}?a=b&c=d"),
        ("response_url={url}?a=b&duration=900&c=d", "{url}?a=b&c=d"),
    ],
)
def test_a_response_url_in_the_query_is_rewritten_and_the_way_back_works(
    hub, cpo, emsp, query, target
):
    url = _url(emsp)
    asked = query.format(url=url, encoded=quote(f"{url}", safe=""))
    answer = ask(hub, emsp, "GET", f"receiver/{CUSTOM}/S1?{asked}", to=cpo)
    assert answer.said == (200, 1000)
    got = cpo.simulator.got[0].query
    assert got["response_url"].startswith(f"{hub.url}/ocpi/2.2.1/via/")
    assert got.get("duration") == ("900" if "duration" in query else None)
    assert set(got) <= {"response_url", "duration"}
    assert ask(hub, cpo, "POST", got["response_url"], to=emsp, body=RESULT).said == (200, 1000)
    sent = urlsplit(target.format(url=url))
    wanted = sent.path + (f"?{sent.query}" if sent.query else "")
    assert emsp.simulator.targets == [wanted]


def test_commands_of_every_kind_are_rewritten(hub, cpo, emsp):
    for name in (
        "START_SESSION",
        "STOP_SESSION",
        "RESERVE_NOW",
        "CANCEL_RESERVATION",
        "UNLOCK_CONNECTOR",
    ):
        path = f"receiver/commands/{name}"
        assert ask(hub, emsp, "POST", path, to=cpo, body=_command(_url(emsp))).said == (200, 1000)
        assert cpo.simulator.got[-1].json()["response_url"].startswith(hub.url)


def test_the_callback_of_one_party_on_a_platform_of_several_names_that_party(hub, emsp):
    second = new_party()
    platform = hub.join(Stranger(Role.CPO, more=[(second, Role.CPO)], listens=False))
    ask(hub, emsp, "POST", START, to=second, body=_command(_url(emsp)))
    url = platform.simulator.got[-1].json()["response_url"]
    assert send(hub, "POST", url, token_of(platform), body=RESULT).said == (200, 1000)
    assert emsp.simulator.got[-1].from_party == second
    headers = routing(emsp.simulator.party, second)
    again = send(hub, "POST", url, token_of(platform), body=RESULT, headers=headers)
    assert again.said == (200, 1000)
