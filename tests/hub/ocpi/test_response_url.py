"""Where a response_url is found, and that nothing else of a message changes."""

import json

import pytest

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.response_url import check_path, in_body, in_query, is_meant

RECEIVER, SENDER = InterfaceRole.RECEIVER, InterfaceRole.SENDER
OWN = "https://hub/via/1"
MEANT = [
    "response_url",
    "Response_URL",
    "RESPONSE_URL",
    "responseUrl",
    "ResponseURL",
    "response-url",
    "response.url",
    "response url",
    " response_url ",
    "response_url[]",
    "re\u017fponse_url",
    "\uff52\uff45\uff53\uff50\uff4f\uff4e\uff53\uff45\uff3f\uff55\uff52\uff4c",
    "response_url\0",
    "response_url\0x",
]
NOT_MEANT = [
    "",
    "url",
    "response",
    "response_urls",
    "my_response_url",
    "x" * 100_000,
    "response_url2",
]


@pytest.mark.parametrize("name", MEANT, ids=ascii)
def test_what_some_library_may_read_as_response_url_is_meant(name):
    assert is_meant(name)


@pytest.mark.parametrize("name", NOT_MEANT, ids=lambda name: ascii(name[:20]))
def test_other_names_are_others(name):
    assert not is_meant(name)


@pytest.mark.parametrize("name", MEANT, ids=ascii)
@pytest.mark.parametrize("is_escaped", [False, True])
def test_its_value_is_replaced_and_no_other_byte(name, is_escaped):
    key = json.dumps(name, ensure_ascii=False)
    if is_escaped:
        key = '"' + "".join(f"\\u{ord(character):04x}" for character in name) + '"'
    else:
        key = key.replace("\0", "\\u0000")
    before = '\n{ "a" : 1.50, "b":[ {"c" : 1e400} ],"\\u00fc": "ü\\/",' + key + "\t:\r\n "
    after = ' ,"n":%s , "a":null}\n ' % ("9" * 5000)
    body = (before + '"https://emsp/x"' + after).encode()
    found = in_body(body, "commands", RECEIVER)
    assert found is not None
    assert found.url == "https://emsp/x"
    assert found.replaced(OWN) == f'{before}"{OWN}"{after}'.encode()


@pytest.mark.parametrize(
    ("written", "url"),
    [('"http:\\/\\/a\\/"', "http://a/"), ('"\\u0068ttp://a/"', "http://a/"), ('""', "")],
)
def test_its_value_is_read_as_json_writes_it(written, url):
    body = b'{"response_url":%s}' % written.encode()
    found = in_body(body, "commands", RECEIVER)
    assert found is not None
    assert found.url == url
    assert found.replaced(OWN) == b'{"response_url":"%s"}' % OWN.encode()


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        " { } ",
        '{"a":1}',
        '{"response_url":null}',
        '{"a":{"response_url":null}}',
        '{"a":"response_url"}',
        '["response_url"]',
        "[]",
        '"response_url"',
        "1",
    ],
)
@pytest.mark.parametrize("role", [SENDER, RECEIVER])
def test_without_one_there_is_none(body, role):
    assert in_body(body.encode(), "commands", role) is None
    assert in_body(body.encode(), "custom", role) is None


TWO = [
    '{"response_url":"http://a/","response_url":"http://b/"}',
    '{"response_url":"http://a/","response_url":"http://a/"}',
    '{"response_url":"http://a/","Response_Url":"http://b/"}',
    '{"response_url":null,"response\\u005furl":"http://b/"}',
    '{"response_url":"http://a/","responseUrl":null}',
]
DEEPER = [
    '{"response_url":"http://a/","token":{"response_url":"http://b/"}}',
    '{"command":{"responseUrl":"http://b/"}}',
    '{"a":[[{"b":{"response\\u005furl":"http://b/"}}]]}',
    '[{"response_url":"http://b/"}]',
    '[[{"response_url":"http://b/"}]]',
    '{"response_url":"http://a/","x":[{"RESPONSE_URL":{}}]}',
]
NO_STRING = ["5", "true", "{}", "[]", '["http://a/"]', '{"x":null}', "1.5"]


@pytest.mark.parametrize("module", ["commands", "chargingprofiles"])
@pytest.mark.parametrize("body", TWO)
def test_two_are_refused_whoever_is_told(module, body):
    for role in (SENDER, RECEIVER):
        with pytest.raises(InvalidParameters, match="more than once"):
            in_body(body.encode(), module, role)


@pytest.mark.parametrize("module", ["commands", "chargingprofiles"])
@pytest.mark.parametrize("body", DEEPER)
def test_one_that_stands_deeper_is_refused_but_in_a_result(module, body):
    with pytest.raises(InvalidParameters, match="inside another object"):
        in_body(body.encode(), module, RECEIVER)
    in_body(body.encode(), module, SENDER)


@pytest.mark.parametrize("value", NO_STRING)
@pytest.mark.parametrize("module", ["commands", "custom"])
def test_one_that_is_no_string_is_refused(value, module):
    with pytest.raises(InvalidParameters, match="not a string"):
        in_body(b'{"response_url":%s}' % value.encode(), module, RECEIVER)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"{", b"\xff", b'{"a":NaN'])
def test_what_cannot_be_read_is_refused_and_breaks_nothing(body):
    with pytest.raises(InvalidParameters):
        in_body(body, "commands", RECEIVER)


def test_elsewhere_the_exact_name_counts_and_what_is_deeper_is_somebody_elses():
    for body in (*DEEPER[1:5], '{"responseUrl":"http://a/"}', '{"RESPONSE_URL":5}'):
        assert in_body(body.encode(), "nltnm-tokens", RECEIVER) is None
    twice = in_body(TWO[0].encode(), "nltnm-tokens", RECEIVER)
    assert twice is not None
    assert twice.url == "http://b/"
    own = f'"response_url":"{OWN}"'
    assert twice.replaced(OWN) == f"{{{own},{own}}}".encode()


# --- In the query ---------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["chargingprofiles", "nltnm-tokens"])
@pytest.mark.parametrize(
    ("query", "found", "rest"),
    [
        ("", None, ""),
        ("duration=5", None, "duration=5"),
        ("my_response_url=http://a/", None, "my_response_url=http://a/"),
        (
            "response_url=http%3A%2F%2Fa%2F%3Fb%3D1%26c%3D2&duration=5",
            "http://a/?b=1&c=2",
            "duration=5",
        ),
        ("a=1&response_url=http%3A%2F%2Fa%2F&b=2", "http://a/", "a=1&b=2"),
        ("response_url=http://a/?b=1&c=2&duration=5", "http://a/?b=1&c=2", "duration=5"),
        (
            "duration=5&response_url=http://a/?b=1&duration=9",
            "http://a/?b=1&duration=9",
            "duration=5",
        ),
        ("response_url=", "", ""),
        ("response_url=a+b", "a+b", ""),
    ],
)
def test_a_query_is_split_into_the_response_url_and_the_rest(module, query, found, rest):
    assert in_query(query, module) == (found, rest)


@pytest.mark.parametrize(
    "name",
    [
        "RESPONSE_URL",
        "Response_Url",
        "responseUrl",
        "response%5Furl",
        "%72esponse_url",
        "response_url%5B%5D",
        "response_url[]",
        "+response_url",
        "response_url%00",
        "re%C5%BFponse_url",
        "?response_url",
    ],
)
def test_in_the_query_too_the_spelling_does_not_count(name):
    asked = f"duration=5&{name}=http%3A%2F%2Fa%2F&x=1"
    assert in_query(asked, "chargingprofiles") == ("http://a/", "duration=5&x=1")
    assert in_query(f"{name}=http://a/?b=1&duration=5", "commands") == (
        "http://a/?b=1",
        "duration=5",
    )


@pytest.mark.parametrize(
    "query",
    [
        "response_url=http://a/&response_url=http://b/",
        "response_url=http%3A%2F%2Fa%2F&RESPONSE_URL=http%3A%2F%2Fb%2F",
        "response_url=&response_url=http%3A%2F%2Fb%2F",
        "response_url&response_url=http%3A%2F%2Fb%2F",
        "response_url=http%3A%2F%2Fa%2F&response%5Furl=x",
        "duration=5;response_url=http://b/&response_url=http://a/",
        "duration=5;response_url=http://b/",
        "response_url=http%3A%2F%2Fa%2F;response_url=http://b/",
        "response_url=http://a/?x=1&response_url=http://b/",
    ],
)
def test_a_second_one_in_the_query_is_refused(query):
    with pytest.raises(InvalidParameters, match="more than once"):
        in_query(query, "chargingprofiles")


@pytest.mark.parametrize(
    "rest",
    [
        "START_SESSION;response_url=http://a/",
        "START_SESSION%3Fresponse_url=x",
        "x/RESPONSE%5FURL/y",
    ],
)
def test_a_path_that_a_server_may_find_one_in_is_refused(rest):
    with pytest.raises(InvalidParameters, match="response_url"):
        check_path(rest, "commands")
    check_path(rest, "locations")
    check_path("START_SESSION", "commands")


def test_a_name_that_is_encoded_twice_is_found_as_well():
    for name in ("%2572esponse_url", "response%25255Furl"):
        assert in_query(f"a=1&{name}=http%3A%2F%2Fa", "chargingprofiles") == ("http://a", "a=1")
        with pytest.raises(InvalidParameters, match="more than once"):
            in_query(f"{name}=http%3A%2F%2Fb&response_url=http%3A%2F%2Fa", "chargingprofiles")
        with pytest.raises(InvalidParameters, match="into the body"):
            check_path(f"S1/{name}=x", "chargingprofiles")
