"""Pages of another party: the Link leads through the hub (transport_and_format, Pagination)."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from hub.models import ForwardedUrl
from hub.ocpi.datatypes import Role
from hub.ocpi.errors import HubError
from hub.outbound import rewritten_urls
from hub.parties import onboarding
from sessions.objects import CdrToken, TokenType
from simulators.cpo import Cpo
from tests.hub.strangers import SENDER, Stranger, ask, raw, send, token_of, until
from tests.running_hub import changed_setting, new_party

LIST = "sender/locations"
ASKED = "https://1.1.1.1/ocpi/2.2.1/sender/locations"
ASKED_SECOND = f"{ASKED}?offset=1"


def _next(answer) -> str:
    """The URL of the next page; "" on the last one."""
    link = answer.headers.get("link", "")
    assert not link or (link.startswith("<") and link.endswith('>; rel="next"'))
    return link[1:].partition(">")[0]


def _pages(cpo, count: int, link: str = '<{url}?{query}>; rel="next"') -> None:
    """Let the CPO answer with pages of one object each."""

    def says(message):
        number = int(message.query.get("offset", 0))
        body = b'{"status_code":1000,"data":[%d],"timestamp":"2026-01-01T00:00:00Z"}' % number
        if number + 1 >= count:
            return raw(body, X_Total_Count=str(count), X_Limit="1")
        kept = {k: v for k, v in message.query.items() if k != "offset"}
        query = "&".join(f"{k}={v}" for k, v in {"offset": number + 1, **kept}.items())
        url = cpo.simulator.endpoint_url("locations", SENDER)
        sent = link.format(url=url, query=query, path=cpo.simulator.where("locations", SENDER))
        return raw(body, Link=sent, X_Total_Count=str(count), X_Limit="1")

    cpo.simulator.says = says


def _follow(hub, emsp, cpo, first: str = LIST) -> list[int]:
    found, url = [], first
    while url:
        answer = ask(hub, emsp, "GET", url, to=cpo)
        assert answer.said == (200, 1000)
        found += answer.envelope["data"]
        url = _next(answer)
        assert not url or url.startswith(f"{hub.url}/ocpi/2.2.1/via/")
        assert len(url) <= 255
        assert len(found) < 20
    return found


def test_all_pages_can_be_followed_through_the_hub(hub, cpo, emsp):
    _pages(cpo, 4)
    assert _follow(hub, emsp, cpo) == [0, 1, 2, 3]


def test_the_filters_and_the_counts_survive(hub, cpo, emsp):
    _pages(cpo, 3)
    first = ask(hub, emsp, "GET", f"{LIST}?date_from=2026-01-01T00:00:00Z&limit=1", to=cpo)
    assert (first.headers["x-total-count"], first.headers["x-limit"]) == ("3", "1")
    second = ask(hub, emsp, "GET", _next(first), to=cpo)
    assert second.said == (200, 1000)
    assert (second.headers["x-total-count"], second.headers["x-limit"]) == ("3", "1")
    asked = cpo.simulator.got[-1].query
    assert dict(asked) == {"offset": "1", "date_from": "2026-01-01T00:00:00Z", "limit": "1"}


def test_a_page_can_be_asked_for_again(hub, cpo, emsp):
    _pages(cpo, 3)
    url = _next(ask(hub, emsp, "GET", LIST, to=cpo))
    assert [ask(hub, emsp, "GET", url, to=cpo).envelope["data"] for _ in range(3)] == [[1]] * 3


def test_a_next_page_without_routing_headers_is_found(hub, cpo, emsp):
    _pages(cpo, 2)
    url = _next(ask(hub, emsp, "GET", LIST, to=cpo))
    assert send(hub, "GET", url, token_of(emsp)).envelope["data"] == [1]
    message = cpo.simulator.got[-1]
    assert (message.from_party, message.to_party) == (emsp.simulator.party, cpo.simulator.party)


@pytest.mark.parametrize(
    "link",
    [
        '<{url}?{query}>; rel="next"',
        "<{url}?{query}>;rel=next",
        '<{url}?{query}>; title="a, b"; rel="next"',
        '<{url}?{query}>; REL="NEXT"',
        '<{path}?{query}>; rel="next"',
        '<?{query}>; rel="next"',
        '<{url}?x=1>; rel="prev", <{url}?{query}>; rel="next"',
        '<{url}?{query}>; rel="next", <{url}?x=1>; rel="last"',
        '<{url}?a=1,2;3>; rel="first",<{url}?{query}>; rel="next"',
    ],
)
def test_a_link_is_found_however_it_is_written(hub, cpo, emsp, link):
    _pages(cpo, 3, link)
    assert _follow(hub, emsp, cpo) == [0, 1, 2]


@pytest.mark.parametrize(
    "link", ['<{url}?{query}>; rel="prev"', "nonsense", "", "<>", '<{url}?{query}>; rel="nextdoor"']
)
def test_what_is_no_next_page_is_not_passed_on(hub, cpo, emsp, link):
    _pages(cpo, 3, link)
    answer = ask(hub, emsp, "GET", LIST, to=cpo)
    assert answer.said == (200, 1000)
    assert "link" not in answer.headers


@pytest.mark.parametrize("switch", ["enum_repr_in_link", "hard_coded_https"])
def test_a_real_ones_wrong_links_are_mended(hub, emsp, switch):
    """Seen at real platforms: a Link with an enum's repr in it, and hard-coded https."""
    cpo = hub.join(Cpo(new_party()))
    party = emsp.simulator.party
    token = CdrToken(party.country_code, party.party_id, "T", TokenType.RFID, "C")
    for number in range(3):
        cpo.run(cpo.simulator.start_session(session_id=f"S{number}", token=token))
    cpo.set_faults(module="sessions", **{switch: True})
    found, url = [], "sender/sessions?limit=1&date_from=2020-01-01T00:00:00Z"
    while url:
        answer = ask(hub, emsp, "GET", url, to=cpo.simulator.party)
        assert answer.said == (200, 1000), answer
        found += [session["id"] for session in answer.envelope["data"]]
        url = _next(answer)
        assert len(found) < 9
    assert sorted(found) == ["S0", "S1", "S2"]


def test_somebody_elses_page_is_404(hub, cpo, emsp):
    _pages(cpo, 2)
    url = _next(ask(hub, emsp, "GET", LIST, to=cpo))
    cpo.simulator.got.clear()
    thief = hub.join(Stranger(Role.EMSP, listens=False))
    for party in (thief, cpo):
        assert ask(hub, party, "GET", url, to=cpo).status == 404
    assert not cpo.simulator.got


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_page_takes_get_alone(hub, cpo, emsp, method):
    _pages(cpo, 2)
    url = _next(ask(hub, emsp, "GET", LIST, to=cpo))
    body = None if method == "DELETE" else b"{}"
    answer = ask(hub, emsp, method, url, to=cpo, body=body)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET"


def test_a_page_past_its_time_is_404(hub, cpo, emsp):
    _pages(cpo, 2)
    url = _next(ask(hub, emsp, "GET", LIST, to=cpo))
    past = timezone.now() - timedelta(seconds=1)
    ForwardedUrl.objects.filter(key=url.rpartition("/")[2]).update(valid_until=past)
    assert ask(hub, emsp, "GET", url, to=cpo).status == 404


def test_a_page_of_a_party_that_was_suspended_is_4003(hub, emsp):
    cpo = hub.join(Stranger(Role.CPO, listens=False))
    _pages(cpo, 2)
    url = _next(ask(hub, emsp, "GET", LIST, to=cpo))
    onboarding.suspend(cpo.simulator.party)
    until(lambda: ask(hub, emsp, "GET", url, to=cpo).said == (200, 4003))


@pytest.mark.parametrize(
    "link",
    [
        '<http://127.0.0.1/x>; rel="next"',
        '<http://10.0.0.1/x>; rel="next"',
        '<http://[::1]/x>; rel="next"',
        '<http://169.254.169.254/x>; rel="next"',
    ],
)
def test_a_link_into_a_private_network_is_not_followed(hub, cpo, emsp, link):
    _pages(cpo, 3, link)
    url = _next(ask(hub, emsp, "GET", LIST, to=cpo))
    with changed_setting("ALLOW_PRIVATE_URLS", False):
        answer = ask(hub, emsp, "GET", url, to=cpo) if url else None
    assert answer is None or answer.code >= 4000


@pytest.mark.parametrize(
    "link",
    [
        '<mailto:a@b>; rel="next"',
        '<ftp://127.0.0.1/x>; rel="next"',
        '<file:///etc/passwd>; rel="next"',
        '<http://[>; rel="next"',
        '<http://127.0.0.1:99999/>; rel="next"',
        "<http://127.0.0.1/" + "x" * 3000 + '>; rel="next"',
    ],
)
def test_a_link_to_nonsense_breaks_nothing(hub, cpo, emsp, link):
    _pages(cpo, 3, link)
    answer = ask(hub, emsp, "GET", LIST, to=cpo)
    assert answer.status == 200
    if url := _next(answer):
        followed = ask(hub, emsp, "GET", url, to=cpo)
        assert followed.status == 200
        assert 4000 <= followed.code < 5000


@pytest.mark.parametrize(
    ("link", "page"),
    [
        ("http://10.0.0.1/inner?offset=1&limit=2", f"{ASKED}?offset=1&limit=2"),
        ("http://[64:ff9b:1::1]/inner?offset=1", f"{ASKED}?offset=1"),
        ("http://cpo.example.org/other?offset=1", "http://cpo.example.org/other?offset=1"),
        ("?offset=1", f"{ASKED}?offset=1"),
        ("/x?offset=1", "https://1.1.1.1/x?offset=1"),
    ],
)
def test_a_link_to_an_inner_host_leads_to_the_host_that_was_asked(settings, link, page):
    """Real ones name the host behind their proxy: the list must not end there."""
    settings.ALLOW_PRIVATE_URLS, settings.ALLOW_HTTP_URLS = False, True
    assert rewritten_urls._next_target(link, ASKED) == page


@pytest.mark.parametrize(
    "link",
    [
        "http://10.0.0.1/inner",
        f"http://10.0.0.1/inner?{urlsplit(ASKED_SECOND).query}",
        "mailto:a@b?offset=1",
        "ftp://2.2.2.2/x?offset=1",
        "http://[?offset=1",
    ],
)
def test_a_next_page_that_nobody_could_ask_for_is_4000_and_the_list_does_not_just_end(
    settings, link
):
    settings.ALLOW_PRIVATE_URLS, settings.ALLOW_HTTP_URLS = False, True
    with pytest.raises(HubError, match="next page"):
        rewritten_urls._next_target(link, ASKED_SECOND)
