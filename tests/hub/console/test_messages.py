"""The pages of messages: search, and one exchange as a ladder."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from commands.models import Reservation
from hub.models import ForwardedUrl
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


def test_a_session_is_found_with_its_commands_and_their_messages(console):
    cpo = rows.platform("Volt", ("NL", "CPO", "CPO"))
    scsp = rows.platform("Slim", ("NL", "SCS", "SCSP"))
    session = rows.session(1)
    command = rows.command(session, scsp, cpo, "REFUSED", timedelta(0), correlation_id="c1")
    message(object_id="S-00001", module="sessions", path="receiver/sessions/NL/CPO/S-00001")
    message(correlation_id="c1", module="chargingprofiles", path="receiver/x")
    message(correlation_id="own", related_id="c1", path="profile-result/•••", problem="Too late.")
    message(correlation_id="other", path="receiver/other")
    html = page(console, "messages", object="s-00001")
    assert html.count("<time datetime") == 3
    assert "receiver/other" not in html
    assert '<tr class="why"><td colspan="9">Too late.</td></tr>' in html
    session_page = reverse("admin:ocpi_sessions_session_change", args=[session.pk])
    assert session_page in html
    assert "/profilecommand/?q=s-00001" in html
    message(correlation_id="c1", object_id="S-00001", module="chargingprofiles")
    shown = page(console, "exchange", correlation_id=command.correlation_id)
    assert session_page in shown
    assert f"{reverse('messages')}?object=S-00001" in shown


def test_a_reservation_is_found_by_the_commands_that_made_it(console):
    emsp = rows.platform("Rijden", ("DE", "MSP", "EMSP"))
    url = ForwardedUrl.objects.create(
        kind="RESPONSE_URL",
        module="commands",
        target="https://emsp.example/",
        caller=emsp,
        owner_country_code="DE",
        owner_party_id="MSP",
        correlation_id="reserve",
    )
    Reservation.objects.create(
        emsp="DE-MSP", cpo="NL-CPO", reservation_id="R1", expiry_date=timezone.now(), key=url.key
    )
    message(correlation_id="reserve", module="commands", path="receiver/commands/RESERVE_NOW")
    html = page(console, "messages", object="r1")
    assert "RESERVE_NOW" in html


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
