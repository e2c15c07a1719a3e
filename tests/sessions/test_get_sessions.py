"""GET of Sessions through the hub, on both interfaces (mod_sessions)."""

from hub.ocpi.errors import NotFound
from party.messages import Reply
from tests.scripted import Exactly, code


def test_a_cpo_reads_its_session_at_the_emsp(cast):
    content = b'{"status_code":1000,"timestamp":"2026-03-01T10:00:00Z","data":{"kwh":1.50}}'
    cast.emsp.answers("GET-1", Exactly(content=content))
    response = cast.cpo.send("GET", cast.cpo.session_path("GET-1"), to=cast.emsp)
    assert response.content == content
    [message] = cast.emsp.got("GET-1")
    assert (message.from_party, message.to_party) == (cast.cpo.party, cast.emsp.party)


def test_what_the_emsp_does_not_have_is_its_404(cast):
    cast.emsp.answers("GET-2", Reply.of(NotFound("no such session")))
    response = cast.cpo.send("GET", cast.cpo.session_path("GET-2"), to=cast.emsp)
    assert (response.status_code, code(response)) == (404, 2000)
    assert response.json()["status_message"] == "no such session"


def test_without_to_a_kept_session_is_read_at_its_emsp(cast):
    cast.cpo.put_session("GET-3", cast.emsp)
    assert code(cast.cpo.send("GET", cast.cpo.session_path("GET-3"))) == 1000
    assert [message.method for message in cast.emsp.got("GET-3")] == ["PUT", "GET"]


def test_a_get_can_not_be_broadcast(cast):
    cast.cpo.put_session("GET-4", cast.emsp)
    hub = next(iter(cast.cpo.platform.hub.parties))
    response = cast.cpo.send("GET", cast.cpo.session_path("GET-4"), to=hub)
    assert 4000 <= code(response) < 5000
    assert [message.method for message in cast.emsp.got("GET-4")] == ["PUT"]


def test_an_emsp_lists_the_sessions_of_a_cpo_with_its_query(cast):
    query = "date_from=2019-01-28T12:00:00&limit=5"
    response = cast.emsp.send("GET", f"sender/sessions?{query}", to=cast.cpo)
    assert code(response) == 1000
    [message] = [
        one for one in cast.cpo.running.received(module="sessions") if one.interface == "sender"
    ]
    assert dict(message.query) == {"date_from": "2019-01-28T12:00:00", "limit": "5"}
