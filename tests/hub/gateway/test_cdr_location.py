"""The Location of a CDR comes back as a URL of the hub that works (mod_cdrs, POST Method)."""

import threading

import pytest

from cdrs.models import Cdr
from hub.models import ForwardedUrl
from hub.ocpi.datatypes import Role
from simulators.testing import PATIENCE
from tests.hub.strangers import CUSTOM, RECEIVER, Stranger, ask, raw, send, token_of
from tests.running_hub import changed_setting

CDR = b'{"id":"C1","total_cost":{"excl_vat":4.00}}'


@pytest.fixture(autouse=True)
def _never_sent_before(hub) -> None:
    """The outcome of a CDR that was sent in another test would be known."""
    Cdr.objects.all().delete()


def _takes(emsp, location: str, status: int = 201) -> None:
    """Let the eMSP take CDRs and show them at this URL."""

    def says(message):
        if message.method == "POST":
            return raw(status=status, Location=location)
        return raw(b'{"status_code":1000,"data":%s,"timestamp":"2026Z"}' % CDR)

    emsp.simulator.says = says


def _post(hub, cpo, emsp) -> str:
    answer = ask(hub, cpo, "POST", "receiver/cdrs", to=emsp, body=CDR)
    assert answer.said == (201, 1000)
    return answer.headers["location"]


def _absolute(emsp, rest: str = "/C1?x=%20") -> str:
    return emsp.simulator.endpoint_url("cdrs", "receiver") + rest


@pytest.mark.parametrize("form", ["{url}", "{path}", "cdrs/C1?x=%20", "//{netloc}{path}"])
def test_the_location_is_one_of_the_hub_and_leads_to_the_cdr(hub, cpo, emsp, form):
    url = _absolute(emsp)
    netloc, path = url.split("/", 3)[2], "/" + url.split("/", 3)[3]
    _takes(emsp, form.format(url=url, path=path, netloc=netloc))
    location = _post(hub, cpo, emsp)
    assert location.startswith(f"{hub.url}/ocpi/2.2.1/via/")
    assert len(location) <= 255
    for _ in range(2):
        answer = ask(hub, cpo, "GET", location, to=emsp)
        assert CDR in answer.body
        assert emsp.simulator.targets[-1] == path
    message = emsp.simulator.got[-1]
    assert (message.from_party, message.to_party) == (cpo.simulator.party, emsp.simulator.party)


def test_a_cdr_that_is_sent_again_has_the_same_location(hub, cpo, emsp):
    _takes(emsp, _absolute(emsp, "/same"))
    assert len({_post(hub, cpo, emsp) for _ in range(3)}) == 1


def test_a_cdr_that_is_sent_many_times_at_once_never_fails_afterwards(hub, cpo, emsp):
    _takes(emsp, _absolute(emsp, "/at-once"))
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(_post(hub, cpo, emsp))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(answers) == 8
    # As if two of them had been written at the same moment.
    row = ForwardedUrl.objects.filter(target=_absolute(emsp, "/at-once")).first()
    row.pk = "another-key-of-the-same"
    row.save(force_insert=True)
    assert ask(hub, cpo, "GET", _post(hub, cpo, emsp), to=emsp).status == 200


def test_two_cpos_get_two_urls_for_one_location(hub, cpo, emsp):
    second = hub.join(Stranger(Role.CPO, listens=False))
    _takes(emsp, _absolute(emsp, "/shared"))
    mine, theirs = _post(hub, cpo, emsp), _post(hub, second, emsp)
    assert mine != theirs
    assert ask(hub, second, "GET", mine, to=emsp).status == 404
    assert ask(hub, cpo, "GET", mine, to=emsp).status == 200


def test_a_location_has_no_end_of_its_own(hub, cpo, emsp):
    _takes(emsp, _absolute(emsp, "/lasting"))
    key = _post(hub, cpo, emsp).rpartition("/")[2]
    assert ForwardedUrl.objects.get(key=key).valid_until is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_location_takes_get_alone(hub, cpo, emsp, method):
    _takes(emsp, _absolute(emsp))
    location = _post(hub, cpo, emsp)
    body = None if method == "DELETE" else CDR
    assert ask(hub, cpo, method, location, to=emsp, body=body).status == 405


def test_a_get_of_the_location_without_routing_headers_works(hub, cpo, emsp):
    _takes(emsp, _absolute(emsp))
    assert CDR in send(hub, "GET", _post(hub, cpo, emsp), token_of(cpo)).body


def test_a_refused_cdr_has_no_location(hub, cpo, emsp):
    _takes(emsp, _absolute(emsp), status=400)
    answer = ask(hub, cpo, "POST", "receiver/cdrs", to=emsp, body=CDR)
    assert answer.status == 400
    assert "location" not in answer.headers


def test_where_the_emsp_tells_none_the_hub_shows_its_own_copy(hub, cpo, emsp):
    answer = ask(hub, cpo, "POST", "receiver/cdrs", to=emsp, body=CDR)
    assert answer.said == (200, 1000)
    assert answer.headers["location"].startswith(f"{hub.url}/ocpi/2.2.1/cdr/")
    assert CDR in send(hub, "GET", answer.headers["location"], token_of(cpo)).body


def test_a_location_with_enums_in_it_is_mended(hub, cpo, emsp):
    """As extrawest-ocpi writes it, whose host is an example too (findings/)."""
    for at, odd in enumerate(
        [
            "https://www.example.com/ocpi/emsp/VersionNumber.v_2_2_1/ModuleID.cdrs/c{at}",
            "/ocpi/VersionNumber.v_2_2_1/cdrs/ModuleID%2Ecdrs/c{at}?x=1",
            "ModuleID.cdrs/c{at}",
        ]
    ):
        Cdr.objects.all().delete()
        _takes(emsp, odd.format(at=at))
        answer = ask(hub, cpo, "GET", _post(hub, cpo, emsp), to=emsp)
        assert answer.said == (200, 1000)
        expected = f"{emsp.simulator.where('cdrs', RECEIVER)}/c{at}"
        assert emsp.simulator.targets[-1].partition("?")[0] == expected


def test_a_location_that_only_looks_like_an_enum_stays(hub, cpo, emsp):
    for rest in ("/Invoice.first", "/Invoice.first/pdf"):
        Cdr.objects.all().delete()
        _takes(emsp, _absolute(emsp, rest))
        ask(hub, cpo, "GET", _post(hub, cpo, emsp), to=emsp)
        assert emsp.simulator.targets[-1] == emsp.simulator.where("cdrs", RECEIVER) + rest


@pytest.mark.parametrize("status", [404, 405, 410])
def test_where_the_location_leads_to_nothing_the_hub_shows_its_copy(hub, cpo, emsp, status):
    _takes(emsp, _absolute(emsp, f"/wrong-{status}"))
    location = _post(hub, cpo, emsp)
    emsp.simulator.says = lambda message: raw(b"<html>", status)
    answer = ask(hub, cpo, "GET", location, to=emsp)
    assert answer.said == (200, 1000)
    assert CDR in answer.body
    assert f"answers HTTP {status}" in answer.envelope["status_message"]
    assert answer.headers["ocpi-from-party-id"] == "HUB"
    # Without a copy, and of any other error, it is the eMSP's own answer.
    emsp.simulator.says = lambda message: raw(b'{"status_code":3000,"timestamp":"T"}', 500)
    assert ask(hub, cpo, "GET", location, to=emsp).status == 500
    Cdr.objects.all().delete()
    said = b'{"status_code":2003,"timestamp":"T"}'
    emsp.simulator.says = lambda message: raw(said, status)
    answer = ask(hub, cpo, "GET", location, to=emsp)
    assert (answer.status, answer.body) == (status, said)


def test_a_cdr_that_is_refused_with_http_200_has_no_location(hub, cpo, emsp):
    said = b'{"status_code":2001,"timestamp":"T"}'
    emsp.simulator.says = lambda message: raw(said, Location=_absolute(emsp))
    answer = ask(hub, cpo, "POST", "receiver/cdrs", to=emsp, body=CDR)
    assert answer.body == said
    assert "location" not in answer.headers


def test_a_location_of_another_module_is_not_passed_on(hub, cpo, emsp):
    _takes(emsp, _absolute(emsp))
    answer = ask(hub, cpo, "POST", f"receiver/{CUSTOM}", to=emsp, body=CDR)
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.1/" + "x" * 3000, "http://[", "mailto:a@b", "€\udcff", "", "http://x:99999/"],
)
def test_a_location_to_nonsense_does_not_lose_the_answer(hub, cpo, emsp, location):
    _takes(emsp, location)
    answer = ask(hub, cpo, "POST", "receiver/cdrs", to=emsp, body=CDR)
    assert answer.said == (201, 1000)
    if url := answer.headers.get("location"):
        assert ask(hub, cpo, "GET", url, to=emsp).status < 500


def test_a_location_in_a_private_network_is_not_called_when_that_is_not_allowed(hub, cpo, emsp):
    _takes(emsp, _absolute(emsp))
    location = _post(hub, cpo, emsp)
    emsp.simulator.got.clear()
    with changed_setting("ALLOW_PRIVATE_URLS", False):
        assert ask(hub, cpo, "GET", location, to=emsp).said == (200, 4003)
    assert not emsp.simulator.got
