"""What the hub finds when it calls a registering platform back (Errors during registration)."""

import pytest
from aiohttp import web

from hub.parties import handshake
from tests.hub.newcomer import Newcomer, is_as_it_was
from tests.running_hub import changed_setting

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
    with changed_setting("MAX_PUSH_ANSWER_BYTES", 20_000):
        answer = newcomer.post()
    assert answer.said == (200, 3001)
    newcomer.running.clear_faults()
    assert is_as_it_was(newcomer)
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
    assert is_as_it_was(newcomer)


def test_a_token_b_that_the_platform_does_not_take_itself_is_3001(hub):
    newcomer = Newcomer(hub)
    assert newcomer.post(token="never-told-to-anybody").said == (200, 3001)
    assert is_as_it_was(newcomer)


@pytest.mark.parametrize("body", [b'{"status_code":1000,"data":["\xff"]}', b"\xff", b"[" * 9000])
def test_bytes_that_are_no_text_are_3001(hub, body):
    newcomer = Newcomer(hub)

    async def answer(request):
        return web.Response(body=body, content_type="application/json")

    newcomer.stranger.listening.handler = answer
    assert newcomer.post().said == (200, 3001)
    assert is_as_it_was(newcomer)


def _answers(newcomer: Newcomer, data: object, path: str) -> None:
    """Let the platform say this to a GET of `versions` or of its `details`."""
    before = newcomer.stranger._versions

    def versions(message):
        reply = before(message)
        if bool(message.parts) == (path == "details"):
            reply.data = data
        return reply

    newcomer.stranger._versions = versions  # type: ignore[method-assign]


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
    assert is_as_it_was(newcomer)


@pytest.mark.parametrize(
    "data", [{}, "x", None, [{"version": "2.2.1"}], [{"version": "2.2.1", "url": "/x"}]]
)
def test_versions_that_cannot_be_read_are_3001(hub, data):
    newcomer = Newcomer(hub)
    _answers(newcomer, data, "versions")
    assert newcomer.post().said == (200, 3001)
    assert is_as_it_was(newcomer)


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
    assert is_as_it_was(newcomer)


@pytest.mark.parametrize(
    "endpoint",
    [
        _endpoint("sessions", "no url"),
        _endpoint("sessions", "/relative"),
        _endpoint("sessions", "http://127.0.0.1/" + "x" * 250),
        _endpoint("credentials", "http://127.0.0.1/" + "x" * 250),
        _endpoint("credentials", "no url"),
        _endpoint("sessions", "http://127.0.0.1/\x00"),
        _endpoint("sessions", "http://user:secret@127.0.0.1/"),
    ],
    ids=str,
)
def test_an_endpoint_that_nobody_could_use_is_3001_and_never_a_500(hub, endpoint):
    newcomer = Newcomer(hub)
    endpoints = [_endpoint("locations"), endpoint]
    _answers(newcomer, {"version": "2.2.1", "endpoints": endpoints}, "details")
    assert newcomer.post().said == (200, 3001)
    assert is_as_it_was(newcomer)


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

    before = newcomer.stranger.listening.handler
    newcomer.stranger.listening.handler = answer
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
    assert is_as_it_was(newcomer)


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
    assert is_as_it_was(newcomer)
