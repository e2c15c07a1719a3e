"""The hub is not led back to itself: by its URLs, or by messages of its own (X-Flexhub-Mark)."""

import asyncio
import json
from urllib.parse import quote, urlsplit

import pytest
from aiohttp import web

from hub.models import Endpoint, ForwardedUrl
from hub.ocpi.datatypes import Role
from hub.ocpi.errors import InvalidParameters
from hub.outbound import addresses, loops
from hub.routing.directory import holder
from tests.hub.newcomer import Newcomer, is_as_it_was
from tests.hub.parties.test_call_back import _answers, _endpoint
from tests.hub.raw_servers import ANSWER, HEARD, server
from tests.hub.strangers import Stranger, ask, raw, send, token_of, until

PUBLIC = "https://hub.example.org"
OWN = [
    f"{PUBLIC}/ocpi/versions",
    f"{PUBLIC}/ocpi/",
    f"{PUBLIC}/ocpi",
    f"{PUBLIC}:443/ocpi/2.2.1",
    "HTTPS://HUB.Example.ORG/ocpi/versions",
    "https://hub.example.org./ocpi/versions",
    "http://hub.example.org/ocpi/versions",
    "http://hub.example.org:80/ocpi/versions",
    "https://hub%2Eexample.org/ocpi/versions",
    "https://@hub.example.org/ocpi/versions",
    f"{PUBLIC}/%6Fcpi/versions",
    f"{PUBLIC}/%256fcpi/versions",
    f"{PUBLIC}/OCPI/versions",
    f"{PUBLIC}//ocpi/versions",
    f"{PUBLIC}/./ocpi/versions",
    f"{PUBLIC}/x/../ocpi/versions",
    f"{PUBLIC}/x/%2e%2e/ocpi/versions",
    f"{PUBLIC}/../ocpi/versions",
    f"{PUBLIC}/\\ocpi\\versions",
    f"{PUBLIC}/x\\..\\ocpi/versions",
    f"{PUBLIC}/ocpi;x=1/versions",
    f"{PUBLIC}/ocpi?x=1",
    f"{PUBLIC}/ocpi#x",
    "http://127.0.0.1:8000/ocpi/versions",
    "http://127.0.0.1:8000/admin/",
    "http://localhost:8000/ocpi/versions",
    "http://LOCALHOST.:8000/ocpi/versions",
    "http://[::1]:8000/ocpi/versions",
    "http://[::ffff:127.0.0.1]:8000/ocpi/versions",
    "http://0.0.0.0:8000/ocpi/versions",
    "http://2130706433:8000/ocpi/versions",
    "http://127.1:8000/ocpi/versions",
]
OTHERS = [
    f"{PUBLIC}/cpo/ocpi/versions",
    f"{PUBLIC}/ocpix/versions",
    f"{PUBLIC}/",
    f"{PUBLIC}:8443/ocpi/versions",
    "https://other.example.org/ocpi/versions",
    "https://hub.example.org.evil.example/ocpi/versions",
    "http://127.0.0.1:8001/ocpi/versions",
    "http://localhost:9000/ocpi/versions",
    "http://[::1]:8001/ocpi/versions",
]


@pytest.fixture
def public(settings):
    settings.BASE_URL, settings.PORT = PUBLIC, 8000
    settings.ALLOW_PRIVATE_URLS = settings.ALLOW_HTTP_URLS = True
    return settings


@pytest.mark.parametrize("url", OWN)
def test_a_url_of_the_hubs_own_is_refused_however_it_is_spelled(public, url):
    with pytest.raises(InvalidParameters, match=r"The thing .* leads to this hub itself"):
        addresses.check_url(url, "The thing")


@pytest.mark.parametrize("url", OTHERS)
def test_what_is_beside_the_hub_is_not_the_hub(public, url):
    addresses.check_url(url, "The thing")


def test_a_path_of_the_public_url_belongs_to_it(public):
    public.BASE_URL = "https://203.0.113.9:8443/hub"
    public.ALLOW_PRIVATE_URLS = True
    for own in ("/hub/ocpi/versions", "/HUB/x/../ocpi/"):
        with pytest.raises(InvalidParameters, match="leads to this hub"):
            addresses.check_url(f"https://203.0.113.9:8443{own}", "The thing")
    addresses.check_url("https://203.0.113.9:8443/ocpi/versions", "The thing")
    addresses.check_url("https://203.0.113.9/hub/ocpi/versions", "The thing")


# --- As what parties name -------------------------------------------------------------------------


def _own(hub) -> list[str]:
    port = urlsplit(hub.url).port
    return [
        f"{hub.url}/ocpi/versions",
        f"http://localhost:{port}/ocpi/2.2.1/receiver/locations",
        f"http://[::1]:{port}/ocpi/versions",
        f"http://127.0.0.1:{port}/%6fcpi/versions",
    ]


def test_as_a_versions_url_it_is_2001_with_the_reason(hub):
    newcomer = Newcomer(hub)
    for url in _own(hub):
        answer = newcomer.post(url=url)
        assert answer.said == (200, 2001)
        assert "leads to this hub itself" in answer.envelope["status_message"]
    assert is_as_it_was(newcomer)


@pytest.mark.parametrize("number", range(4))
def test_as_an_endpoint_it_is_3001_with_the_reason(hub, number):
    newcomer = Newcomer(hub)
    endpoints = [_endpoint("locations"), _endpoint("sessions", _own(hub)[number])]
    _answers(newcomer, {"version": "2.2.1", "endpoints": endpoints}, "details")
    answer = newcomer.post()
    assert answer.said == (200, 3001)
    assert "leads to this hub itself" in answer.envelope["status_message"]
    assert is_as_it_was(newcomer)


def test_as_a_response_url_it_is_2001_with_the_reason(hub, cpo, emsp):
    for url in _own(hub):
        body = json.dumps({"response_url": url}).encode()
        command = ask(hub, emsp, "POST", "receiver/commands/START_SESSION", to=cpo, body=body)
        path = f"receiver/chargingprofiles/S?duration=9&response_url={quote(url, safe='')}"
        profile = ask(hub, emsp, "GET", path, to=cpo)
        for answer in (command, profile):
            assert answer.said == (200, 2001)
            assert "leads to this hub itself" in answer.envelope["status_message"]
    assert not cpo.simulator.got


def test_as_a_next_page_it_is_4000_with_the_reason(hub, cpo, emsp):
    for url in _own(hub):
        cpo.simulator.says = lambda message, url=url: raw(Link=f'<{url}?offset=5>; rel="next"')
        answer = ask(hub, emsp, "GET", "sender/locations", to=cpo)
        assert answer.said == (200, 4000)
        assert "leads to this hub itself" in answer.envelope["status_message"]


def test_as_a_cdrs_location_it_is_not_passed_on_and_the_cdr_is_taken(hub, cpo, emsp):
    before = ForwardedUrl.objects.count()
    for url in _own(hub):
        emsp.simulator.says = lambda message, url=url: raw(status=201, Location=url)
        answer = ask(hub, cpo, "POST", "receiver/cdrs", to=emsp, body=b"{}")
        assert answer.status == 201
        assert url not in answer.headers.get("location", "")
    assert ForwardedUrl.objects.count() == before


# --- The mark -------------------------------------------------------------------------------------


def test_everything_that_the_hub_sends_is_marked(call):
    with server(lambda connection: connection.sendall(ANSWER)) as url:
        call(url)
    assert f"\r\n{loops.HEADER}: {loops.mark()}\r\n".encode() in HEARD[-1]


def test_the_mark_tells_nothing_of_the_key_it_is_made_with(settings):
    assert len(loops.mark()) == 32
    assert loops.mark() not in settings.SECRET_KEY
    assert settings.SECRET_KEY not in loops.mark()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ocpi/versions"),
        ("PUT", "/ocpi/2.2.1/receiver/tariffs/XX/AAA/1"),
        ("POST", "/ocpi/2.2.1/via/x"),
        ("GET", "/ocpi/nothing"),
        ("GET", "/admin/"),
        ("GET", "/"),
    ],
)
@pytest.mark.parametrize("has_token", [True, False])
def test_a_message_of_its_own_is_answered_with_4000_and_goes_nowhere(
    hub, emsp, method, path, has_token
):
    token = token_of(emsp) if has_token else "nobody's"
    headers = {loops.HEADER: loops.mark()}
    answer = send(hub, method, path, token, body=b"{}", headers=headers)
    assert answer.said == (200, 4000)
    assert "come back" in answer.envelope["status_message"]
    assert not emsp.simulator.got


def test_a_mark_of_another_hub_means_nothing(hub, emsp):
    headers = {loops.HEADER: "0" * 32}
    assert send(hub, "GET", "/ocpi/versions", token_of(emsp), headers=headers).said == (200, 1000)


def test_an_endpoint_that_leads_back_by_a_way_that_no_url_shows_ends_with_the_first_return(
    hub, emsp
):
    """As it was registered before the hub looked at that, or through somebody's proxy."""
    cpo = hub.join(Stranger(Role.CPO, listens=False))
    rows = Endpoint.objects.filter(
        platform__parties__party_id=cpo.simulator.party.party_id,
        identifier="locations",
        role="SENDER",
    )
    url = f"{hub.url}/ocpi/2.2.1/sender/locations"
    assert rows.update(url=url)
    party = cpo.simulator.party
    until(lambda: url in holder.snapshot.parties[party].platform.endpoints.values())
    answer = ask(hub, emsp, "GET", "sender/locations", to=cpo)
    assert answer.said == (200, 4000)
    assert "come back" in answer.envelope["status_message"]
    assert not cpo.simulator.got


def test_a_proxy_between_two_calls_of_the_hub_is_seen_through(hub, emsp):
    cpo = hub.join(Stranger(Role.CPO, listens=False))

    async def relay(request: web.BaseRequest) -> web.Response:
        """As a proxy: the request goes on to the hub with its headers."""
        headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
        answer = await asyncio.to_thread(
            send, hub, request.method, "/ocpi/2.2.1/sender/locations", headers=headers
        )
        return web.Response(body=answer.body, status=answer.status, content_type="application/json")

    cpo.simulator.listening.handler = relay
    answer = ask(hub, emsp, "GET", "sender/locations", to=cpo)
    assert answer.said == (200, 4000)
    assert "come back" in answer.envelope["status_message"]
