"""No profile command leaves with a response_url of its sender's, however it is spelled."""

import json
from urllib.parse import quote

import pytest

from charging_profiles.models import ProfileCommand
from tests.scripted import PROFILE, code

PATH = "receiver/chargingprofiles/"
SPELLED = ["Response_URL", "responseUrl", "RESPONSE_URL", "re\u017fponse_url"]


@pytest.mark.parametrize("number", range(4))
def test_in_the_body_of_a_put_another_spelling_is_replaced_and_no_other_byte(cast, number):
    session_id = f"SPELL-{number}"
    cast.cpo.put_session(session_id, cast.emsp)
    url = cast.emsp.response_url(session_id)
    profile = json.dumps(PROFILE, indent=1)
    body = f'{{"charging_profile": {profile},\n "{SPELLED[number]}" :"{url}"}}'
    response = cast.emsp.send("PUT", f"{PATH}{session_id}", body.encode(), to=cast.cpo)
    assert (code(response), response.json()["data"]["result"]) == (1000, "ACCEPTED")
    [message] = cast.cpo.asked(session_id)
    own = message.json()[SPELLED[number]]
    assert own.startswith(f"{cast.hub.url}/ocpi/2.2.1/profile-result/")
    assert message.body.decode() == body.replace(url, own)
    assert ProfileCommand.objects.get(session_id_sent=session_id).response_url == url


@pytest.mark.parametrize(
    "body",
    [
        '{"response_url":"URL","response\\u005furl":"URL","charging_profile":{}}',
        '{"response_url":"URL","Response_Url":null}',
        '{"response_url":"URL","charging_profile":{"response_url":"URL"}}',
        '[{"response_url":"URL"}]',
        '{"charging_profile":{"responseUrl":"URL"}}',
    ],
)
def test_a_second_one_or_one_that_stands_deeper_is_2001(cast, body):
    cast.cpo.put_session("SPELL-9", cast.emsp)
    sent = body.replace("URL", cast.emsp.response_url("SPELL-9")).encode()
    response = cast.emsp.send("PUT", f"{PATH}SPELL-9", sent, to=cast.cpo)
    assert (response.status_code, code(response)) == (200, 2001)
    assert "response_url" in response.json()["status_message"]
    assert not ProfileCommand.objects.filter(session_id_sent="SPELL-9").exists()


@pytest.mark.parametrize("name", ["RESPONSE_URL", "response%5Furl", "responseUrl"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_in_the_query_another_spelling_is_replaced(cast, method, name):
    session_id = f"SPELL-{method}-{len(name)}"
    cast.cpo.put_session(session_id, cast.emsp)
    url = cast.emsp.response_url(session_id)
    path = f"{PATH}{session_id}?duration=60&{name}={quote(url, safe='')}&x=1"
    assert code(cast.emsp.send(method, path, to=cast.cpo)) == 1000
    [message] = cast.cpo.asked(session_id)
    assert message.query["response_url"].startswith(f"{cast.hub.url}/")
    assert set(message.query) == {"duration", "response_url", "x"}
    assert ProfileCommand.objects.get(session_id_sent=session_id).response_url == url


@pytest.mark.parametrize(
    "query",
    [
        "duration=60&response_url=URL&response_url=http%3A%2F%2F127.0.0.1%2F",
        "duration=60&response_url=URL&Response_URL=http%3A%2F%2F127.0.0.1%2F",
        "duration=60&response_url=URL&x=1;response_url=http%3A%2F%2F127.0.0.1%2F",
        "duration=60&response%5Furl=http%3A%2F%2F127.0.0.1%2F&response_url=URL",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_second_one_in_the_query_is_2001(cast, method, query):
    cast.cpo.put_session("SPELL-8", cast.emsp)
    url = quote(cast.emsp.response_url("SPELL-8"), safe="")
    response = cast.emsp.send(
        method, f"{PATH}SPELL-8?{query.replace('=URL', f'={url}')}", to=cast.cpo
    )
    assert (response.status_code, code(response)) == (200, 2001)
    assert not ProfileCommand.objects.filter(session_id_sent="SPELL-8").exists()


def test_what_comes_in_the_body_of_a_get_goes_nowhere(cast):
    cast.cpo.put_session("SPELL-7", cast.emsp)
    url = quote(cast.emsp.response_url("SPELL-7"), safe="")
    path = f"{PATH}SPELL-7?duration=60&response_url={url}"
    assert code(cast.emsp.send("GET", path, {"response_url": "http://127.0.0.1/"})) == 1000
    [message] = cast.cpo.asked("SPELL-7")
    assert message.body == b""
