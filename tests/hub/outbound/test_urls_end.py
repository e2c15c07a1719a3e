"""When the URLs that the hub gives out end: with a message that was refused, or in their time."""

import asyncio
import json
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from cdrs.models import Cdr
from hub.keeping import retention, tasks
from hub.models import ForwardedUrl
from hub.ocpi.datatypes import Role
from tests.hub.strangers import OK, SENDER, Stranger, ask, raw
from tests.running_hub import changed_setting

START = "receiver/commands/START_SESSION"
REFUSED = b'{"status_code":2000,"timestamp":"2026-01-01T00:00:00Z"}'


def _url(emsp, name: str) -> str:
    return f"{emsp.simulator.endpoint_url('commands', SENDER)}/START_SESSION/{name}"


def _posted(hub, emsp, cpo, name: str, *, in_query: bool = False):
    """A command with a response_url of this name, and the answer to it."""
    url = _url(emsp, name)
    path = f"{START}?response_url={url}" if in_query else START
    body = b"{}" if in_query else json.dumps({"response_url": url}).encode()
    return ask(hub, emsp, "POST", path, to=cpo, body=body)


def _lives(emsp, name: str) -> bool:
    return ForwardedUrl.objects.filter(target=_url(emsp, name)).exists()


def test_the_url_of_a_refused_command_ends_and_of_an_accepted_one_lives(hub, cpo, emsp):
    answers = {
        "taken": (OK, 200),
        "said-nothing": (b"", 200),
        "2000": (REFUSED, 200),
        "4xx": (REFUSED, 400),
        "html": (b"<html>", 502),
        "401": (REFUSED, 401),
        "4001": (REFUSED.replace(b"2000", b"4001"), 200),
    }
    for name, answer in answers.items():
        cpo.simulator.says = lambda message, answer=answer: raw(*answer)
        for in_query in (False, True):
            _posted(hub, emsp, cpo, f"{name}-{in_query}", in_query=in_query)
            is_taken = name in {"taken", "said-nothing"}
            assert _lives(emsp, f"{name}-{in_query}") is is_taken, name
    # Nobody but the sender of the refused ones has lost anything.
    taken = ForwardedUrl.objects.get(target=_url(emsp, "taken-False"))
    assert taken.sender == str(emsp.simulator.party)
    result = ask(hub, cpo, "POST", f"{hub.url}/ocpi/2.2.1/via/{taken.key}", to=emsp, body=b"{}")
    assert result.code == 1000


def test_the_url_of_a_command_that_never_arrived_ends_and_of_a_silent_one_lives(hub, emsp):
    cpo = hub.join(Stranger(Role.CPO, listens=False))
    ends = asyncio.Event()

    async def hangs(message):
        await ends.wait()
        return raw()

    cpo.simulator.says = hangs
    with changed_setting("FORWARD_TIMEOUT", 1.0):
        assert _posted(hub, emsp, cpo, "silent").code == 4002
    assert _lives(emsp, "silent")
    with changed_setting("FORWARDS_PER_RECEIVER", 0):
        assert _posted(hub, emsp, cpo, "too-many").code == 4003
    assert not _lives(emsp, "too-many")
    cpo.set_faults(gone=True)
    assert _posted(hub, emsp, cpo, "gone").code == 4003
    assert not _lives(emsp, "gone")


def test_the_location_of_a_cdr_ends_when_the_cdr_does(hub, cpo, emsp):
    where = emsp.simulator.endpoint_url("cdrs", "receiver") + "/RETAINED"
    emsp.simulator.says = lambda message: raw(status=201, Location=where)
    answer = ask(hub, cpo, "POST", "receiver/cdrs", to=emsp, body=b'{"id":"RETAINED"}')
    key = answer.headers["location"].rpartition("/")[2]
    tasks.clean_up()
    assert ForwardedUrl.objects.get(key=key).object_id == "RETAINED"
    past = timezone.now() - timedelta(days=settings.CDRS_KEPT_DAYS + 1)
    ForwardedUrl.objects.filter(key=key).update(created_at=past)
    Cdr.objects.filter(object_id="RETAINED").update(received_at=past)
    with changed_setting("CDRS_KEPT_DAYS", 0):
        retention.forget()
    assert ForwardedUrl.objects.filter(key=key).exists()
    forgotten = retention.forget()
    assert (forgotten["CDRs"], forgotten["Locations of CDRs"]) == (1, 1)
    assert not ForwardedUrl.objects.filter(key=key).exists()
    assert ask(hub, cpo, "GET", answer.headers["location"], to=emsp).status == 404
