"""The pages of messages: search, and one exchange as a ladder."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from hub.record.models import BodyRecording
from tests.hub.console import rows
from tests.hub.recording import message

pytestmark = pytest.mark.django_db


def page(console, name: str, **query: str) -> str:
    response = console.get(reverse(name), query)
    assert response.status_code == 200
    return str(response.content.decode())


def test_an_empty_record_says_so(console):
    assert "No message fits." in page(console, "messages")


def test_the_list_tells_who_what_and_why(console):
    message(
        module="sessions",
        path="receiver/sessions/NL/CPO/S1",
        ocpi_code=4003,
        is_failed=True,
        problem="DE-MSP cannot be reached: connection refused.",
        correlation_id="c/1 &?",
    )
    html = page(console, "messages", party="NL-CPO")
    for text in (
        "PUT receiver/sessions/NL/CPO/S1",
        "HTTP 200 OCPI 4003",
        "cannot be reached",
        "correlation_id=c%2F1%20%26%3F",
        'value="NL-CPO"',
    ):
        assert text in html
    assert "Older messages" not in html


def test_older_messages_are_a_page_away_with_the_same_criteria(console):
    for _ in range(51):
        message(module="tokens")
    html = page(console, "messages", module="tokens")
    assert html.count("<time datetime") == 50
    link = html.split('">Older messages')[0].rpartition('href="')[2].replace("&amp;", "&")
    assert "module=tokens" in link
    older = console.get(reverse("messages") + link).content.decode()
    assert older.count("<time datetime") == 1
    assert "Newest" in older


def test_a_wrong_criterion_is_told_on_the_page(console):
    assert "not of the form NL-ABC" in page(console, "messages", party="<b>")
    assert "<b>" not in page(console, "messages", party="<b>").split("<body")[1].split("<form")[0]


def test_an_exchange_is_a_ladder(console):
    now = timezone.now()
    message(correlation_id="c", at=now, request_body='{"cdr_token": "•••"}')
    message(
        correlation_id="c",
        at=now + timedelta(milliseconds=1),
        direction="OUT",
        http_status=None,
        ocpi_code=4002,
        is_failed=True,
        problem="it did <not> answer in time",
    )
    html = page(console, "exchange", correlation_id="c")
    for text in ("NL-CPO", "DE-MSP", "no answer, OCPI 4002", "did &lt;not&gt; answer", "cdr_token"):
        assert text in html
    assert html.count('<td class="hub">') == 4
    assert html.count('<tr class="failed">') == 1


def test_an_unknown_exchange_says_so(console):
    assert "No message with this" in page(console, "exchange", correlation_id="x")
    assert "No message with this" not in page(console, "exchange")


def test_bodies_are_switched_on_for_a_party_and_at_most_a_day(console):
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    url = reverse("admin:record_bodyrecording_add")
    assert "NL-CPO" in console.get(url).content.decode()

    def add(until) -> int:
        values = {"who": "NL-CPO", "until_0": f"{until:%Y-%m-%d}", "until_1": f"{until:%H:%M:%S}"}
        return int(console.post(url, values).status_code)

    now = timezone.now()
    for wrong in (now + timedelta(days=2), now - timedelta(hours=1)):
        assert add(wrong) == 200
    assert not BodyRecording.objects.exists()
    assert add(now + timedelta(hours=1)) == 302
    assert add(now + timedelta(hours=2)) == 200
    recording = BodyRecording.objects.get()
    assert str(recording.party) == "NL-CPO"
    assert (
        str(recording)
        in console.get(
            reverse("admin:record_bodyrecording_change", args=[recording.pk])
        ).content.decode()
    )
