"""Answers in a content coding or with a byte order mark, which nobody asked for (RFC 9110, 8.4)."""

import gzip
import json
import zlib

import pytest
from aiohttp import web
from multidict import CIMultiDict

from hub.ocpi.errors import HubError
from hub.parties.onboarding import hub_identity
from tests.hub.raw_servers import ANSWER, HEARD, server
from tests.hub.strangers import OK, ask

BOM = b"\xef\xbb\xbf"
SAID = b'{"status_code":1000,"data":[1.50],"timestamp":"2026-01-01T00:00:00Z"}'


def _raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


def _answer(body: bytes, coding: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Encoding: {coding}\r\n" if coding else ""
    return head.encode() + b"\r\n" + body


CODED = [
    ("gzip", gzip.compress(SAID)),
    ("x-gzip", gzip.compress(SAID)),
    ("GZIP", gzip.compress(SAID)),
    ("deflate", zlib.compress(SAID)),
    ("deflate", _raw_deflate(SAID)),
    ("identity", SAID),
    ("gzip, identity", gzip.compress(SAID)),
    ("deflate, gzip", gzip.compress(zlib.compress(SAID))),
    ("gzip\r\nContent-Encoding: gzip", gzip.compress(gzip.compress(SAID))),
    ("gzip", gzip.compress(SAID[:9]) + gzip.compress(SAID[9:])),
    ("gzip", gzip.compress(SAID) + b"\0\0\0"),
    ("gzip", gzip.compress(BOM + SAID)),
    # What the header says is wrong, or it is missing.
    ("", gzip.compress(SAID)),
    ("gzip", SAID),
    ("deflate", SAID),
    ("", BOM + SAID),
]


@pytest.mark.parametrize(("coding", "body"), CODED, ids=range(len(CODED)))
def test_the_body_is_read_as_it_was_meant(call, coding, body):
    with server(lambda connection: connection.sendall(_answer(body, coding))) as url:
        response = call(url)
    assert response.body == SAID
    assert response.said.is_success
    assert gzip.compress(SAID)[:2] != response.body[:2]


def test_no_coding_is_asked_for(call):
    with server(lambda connection: connection.sendall(ANSWER)) as url:
        call(url)
    assert b"\r\nAccept-Encoding: identity\r\n" in HEARD[-1]


def test_what_was_decoded_has_no_headers_of_its_coded_form(call):
    body = gzip.compress(SAID)
    with server(lambda connection: connection.sendall(_answer(body, "gzip"))) as url:
        response = call(url)
    assert not {"content-encoding", "content-length"} & set(response.headers)


@pytest.mark.parametrize(
    ("coding", "body", "reason"),
    [
        ("br", b"\x0b\x02\x80", "'br'"),
        ("zstd", b"x", "'zstd'"),
        ("gzip", gzip.compress(SAID)[:-9], "ends in the middle"),
        ("gzip", gzip.compress(SAID)[:10] + b"\xff" * 20, "broken"),
        ("deflate", b"\xff\xff\xff", "broken"),
        ("gzip, gzip, gzip, gzip", SAID, "4 codings"),
        ("gzip", gzip.compress(b"") * 17, "members"),
    ],
    ids=["br", "zstd", "cut off", "broken", "no deflate", "four", "members"],
)
def test_a_coding_that_cannot_be_undone_is_4000_and_said(call, coding, body, reason):
    with (
        server(lambda connection: connection.sendall(_answer(body, coding))) as url,
        pytest.raises(HubError, match=reason) as caught,
    ):
        call(url)
    assert caught.value.code == 4000


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, _raw_deflate])
def test_the_limit_holds_for_what_is_decoded_and_no_more_than_that_is_made(call, settings, pack):
    settings.MAX_ANSWER_BYTES = 20_000
    coding = "gzip" if pack is gzip.compress else "deflate"
    for size, is_fine in ((20_000, True), (20_001, False), (10_000_000, False)):
        body = pack(b"x" * size)
        assert len(body) < 20_000
        with server(lambda connection, body=body: connection.sendall(_answer(body, coding))) as url:
            if is_fine:
                assert len(call(url).body) == size
                continue
            with pytest.raises(HubError, match="larger than 20000 bytes") as caught:
                call(url)
            assert caught.value.code == 4000


def test_several_link_fields_are_one_list_and_of_other_headers_the_last_counts(call):
    said = ANSWER.replace(
        b"OK\r\n",
        b'OK\r\nLink: <a>; rel="next"\r\nX-Limit: 1\r\nlink: <b>; rel="last"\r\nX-Limit: 2\r\n',
    )
    with server(lambda connection: connection.sendall(said)) as url:
        response = call(url)
    assert response.headers["link"] == '<a>; rel="next", <b>; rel="last"'
    assert response.headers["x-limit"] == "2"


# --- Through the hub ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [gzip.compress(SAID), gzip.compress(BOM + SAID)], ids=["plain", "with a mark"]
)
def test_the_other_party_gets_the_plain_body_with_headers_that_are_true(hub, cpo, emsp, body):
    cpo.simulator.says = lambda message: web.Response(
        body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}
    )
    answer = ask(hub, emsp, "GET", "sender/locations", to=cpo)
    assert answer.body == SAID
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-length"] == str(len(SAID))


@pytest.mark.parametrize("said", [BOM + OK, b'{"status_code":"1000"}', b'{"status_code":1000.0}'])
def test_a_session_whose_answer_is_oddly_written_was_taken_all_the_same(hub, cpo, emsp, said):
    """So it is kept, and found in GET All."""
    emsp.simulator.says = lambda message: web.Response(body=said, content_type="application/json")
    code, party = cpo.simulator.party
    session_id = f"odd-{len(said)}"
    session = {
        "country_code": code,
        "party_id": party,
        "id": session_id,
        "start_date_time": "2026-03-01T10:00:00Z",
        "kwh": 0,
        "cdr_token": {
            "country_code": emsp.simulator.party.country_code,
            "party_id": emsp.simulator.party.party_id,
            "uid": "T",
            "type": "RFID",
            "contract_id": "C",
        },
        "auth_method": "WHITELIST",
        "location_id": "L",
        "evse_uid": "E",
        "connector_id": "1",
        "currency": "EUR",
        "status": "ACTIVE",
        "last_updated": "2026-03-01T10:00:00Z",
    }
    path = f"receiver/sessions/{code}/{party}/{session_id}"
    body = json.dumps(session).encode()
    assert ask(hub, cpo, "PUT", path, to=emsp, body=body).status == 200
    listed = ask(hub, emsp, "GET", "sender/sessions", to=hub_identity())
    assert session_id in [found["id"] for found in listed.envelope["data"]]


def test_a_next_page_is_found_beside_another_link_field(hub, cpo, emsp):
    url = cpo.simulator.endpoint_url("locations", "SENDER")
    headers = CIMultiDict(
        [("Link", f'<{url}?offset=1>; rel="next"'), ("Link", f'<{url}?offset=9>; rel="last"')]
    )
    cpo.simulator.says = lambda message: web.Response(
        body=SAID, headers=headers, content_type="application/json"
    )
    answer = ask(hub, emsp, "GET", "sender/locations", to=cpo)
    link = answer.headers["link"]
    assert link.startswith(f"<{hub.url}/ocpi/2.2.1/via/")
    ask(hub, emsp, "GET", link[1:].partition(">")[0], to=cpo)
    assert cpo.simulator.targets[-1].endswith("locations?offset=1")
