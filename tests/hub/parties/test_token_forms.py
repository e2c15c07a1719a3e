"""A platform that refuses the hub's token in one form is sent it in the other (authorization)."""

import asyncio
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from django.utils import timezone

from hub.models import Delivery, Party, Platform, handshake_turns
from hub.models.pulls import Pull
from hub.ocpi.datatypes import Role
from hub.ocpi.headers import authorization
from hub.outbound.platform_calls import Response
from hub.outbox import outbox
from hub.parties import registration, still_alive, token_forms
from hub.record.models import Tally
from hub.record.recorder import recorder
from hub.record.stream_to_table import copy_to_table
from hub.routing import directory
from hub.routing.directory import holder, wait_until_confirmed
from hub.sync import pull_tasks
from simulators.testing import PATIENCE, Running
from tests.hub.lists import Lists, location
from tests.hub.newcomer import CREDENTIALS, Newcomer, at_once, platform_of
from tests.hub.recording import recorded
from tests.hub.strangers import CUSTOM, OK, Stranger, ask, raw, until
from tests.running_hub import changed_setting
from tests.scripted import Actor

PATH = f"receiver/{CUSTOM}"
BASE64, PLAIN = "BASE64", "PLAIN"
REFUSED = b'{"status_code":2000,"status_message":"no","timestamp":"2026-01-01T00:00:00Z"}'


@pytest.fixture(scope="module")
def sender(hub) -> Running[Stranger]:
    """Whose messages are forwarded."""
    return hub.join(Stranger(Role.EMSP))


@pytest.fixture(scope="module")
def joined(hub) -> Running[Stranger]:
    """Registered in Base64, as the hub writes to it."""
    return hub.join(Stranger(Role.CPO, listens=False))


@pytest.fixture
def receiver(joined) -> Running[Stranger]:
    """As it was just after its registration."""
    joined.clear_faults()
    forget(joined)
    joined.simulator.says = Stranger.says_yes
    joined.simulator.got.clear()
    return joined


def row(running) -> Platform:
    return Party.objects.filter(party_id=running.simulator.party.party_id)[0].platform


def forget(running, **changes) -> None:
    values = {"token_form": BASE64, "fixed_token_form": "", "other_form_not_before": None}
    Platform.objects.filter(pk=row(running).pk).update(**(values | changes))
    assert wait_until_confirmed()


def only(form: str, running, status: int = 401, body: bytes = REFUSED) -> None:
    """Let it take the hub's token in this form alone."""
    running.set_faults(**{f"{form.lower()}_tokens_only": True})
    running.simulator.says = lambda message: raw() if message.connection else raw(body, status)


def forms(running) -> list[str]:
    """In which it was sent, message by message."""
    token = running.simulator.hub.accepts
    names = {f"Token {token}": PLAIN, authorization(token): BASE64}
    return [names[message.headers["Authorization"]] for message in running.simulator.got]


def pause(running) -> float:
    """For how many seconds the other form is not tried."""
    moment = row(running).other_form_not_before
    assert moment is not None
    return (moment - timezone.now()).total_seconds()


# --- In a handshake -------------------------------------------------------------------------------


def _post(newcomer: Newcomer, form: str):
    token = newcomer.token_a
    header = authorization(token) if form == BASE64 else f"Token {token}"
    body = newcomer.credentials()
    asked = newcomer.hub.http(
        "POST", CREDENTIALS, json=body, headers={"Authorization": header}
    ).json()
    if asked["status_code"] == 1000:
        newcomer.token = asked["data"]["token"]
    return body["token"], asked


@pytest.mark.parametrize("http_403", [False, True], ids=["401", "403"])
@pytest.mark.parametrize(("calls", "wants"), [(PLAIN, BASE64), (BASE64, PLAIN)])
def test_who_calls_in_one_form_and_wants_the_other_registers_in_one_handshake(
    hub, sender, calls, wants, http_403
):
    newcomer = Newcomer(hub)
    newcomer.running.set_faults(http_403=http_403, **{f"{wants.lower()}_tokens_only": True})
    token_b, answer = _post(newcomer, calls)
    assert answer["status_code"] == 1000
    assert f"({calls})" in answer["status_message"]
    assert f"({wants})" in answer["status_message"]
    taken = authorization(token_b, base64_encoded=wants == BASE64)
    asked = [m.headers["Authorization"] for m in newcomer.running.received(module="versions")]
    assert asked == [authorization(token_b, base64_encoded=wants != BASE64), taken, taken]
    assert platform_of(newcomer).token_form == wants
    assert ask(hub, sender, "GET", "sender/tokens", to=newcomer.party).said == (200, 1000)
    assert [m.headers["Authorization"] for m in newcomer.stranger.got] == [taken]


def test_the_operators_form_is_the_only_one_of_a_handshake(hub):
    newcomer = Newcomer(hub)
    Platform.objects.filter(pk=platform_of(newcomer).pk).update(fixed_token_form=PLAIN)
    newcomer.running.set_faults(base64_tokens_only=True)
    token_b, answer = _post(newcomer, BASE64)
    assert answer["status_code"] == 3001
    assert "It does not take the token plain." in answer["status_message"]
    newcomer.running.clear_faults()
    token_b, answer = _post(newcomer, BASE64)
    assert answer["status_code"] == 1000
    _, *asked = [m.headers["Authorization"] for m in newcomer.running.received(module="versions")]
    assert asked == [f"Token {token_b}"] * 2


def test_who_takes_the_token_in_neither_form_is_asked_twice_and_told(hub):
    newcomer = Newcomer(hub)
    newcomer.running.set_faults(base64_tokens_only=True, plain_tokens_only=True)
    _, answer = _post(newcomer, PLAIN)
    assert answer["status_code"] == 3001
    assert "HTTP 401" in answer["status_message"]
    assert "neither plain nor in Base64" in answer["status_message"]
    assert len(newcomer.running.received(module="versions")) == 2


def test_the_hubs_own_put_and_delete_of_credentials_find_the_form_that_is_taken(hub):
    receiver = hub.join(Stranger(Role.CPO, listens=False))
    only("plain", receiver)
    platform = row(receiver)
    assert registration.update(platform).token_form == PLAIN
    # Its versions are open to everybody.
    forget(receiver)
    receiver.set_faults(module="versions", any_token=True)
    platform.refresh_from_db()
    assert registration.update(platform).token_form == PLAIN
    # In Base64 it would answer 401, and the hub would take itself for unknown there.
    forget(receiver)
    platform.refresh_from_db()
    assert "HTTP 200" in registration.end(platform)
    sent = [message.method for message in receiver.received(module="credentials")]
    assert sent == ["PUT", "PUT", "PUT", "DELETE", "DELETE"]


# --- In each call ---------------------------------------------------------------------------------


def _forward(hub, sender, receiver) -> None:
    answer = ask(hub, sender, "PUT", f"{PATH}/1", to=receiver, body=b'{"n": 1.50}')
    assert answer.said == (200, 1000)


def _push(hub, sender, receiver) -> None:
    party, platform = receiver.simulator.party, row(receiver)
    delivery = Delivery.objects.create(
        receiver=platform,
        ordering_key="key",
        module=CUSTOM,
        method="PUT",
        interface_role="RECEIVER",
        path="1",
        body=b'{"n": 1.50}',
        from_country_code="NL",
        from_party_id="HUB",
        to_country_code=party.country_code,
        to_party_id=party.party_id,
        correlation_id=str(uuid4()),
    )
    outbox.nudge("deliveries")
    until(lambda: Delivery.objects.get(pk=delivery.pk).state == "DELIVERED")


def _pull(hub, sender, receiver) -> None:
    lists = Lists(receiver.simulator, locations=[location(receiver.simulator.party, "L1")])
    lists.answers = lambda message: None if message.connection else raw(REFUSED, 401)
    (asked,) = pull_tasks.request(receiver.simulator.party, ["locations"], full=True)
    until(lambda: not Pull.objects.get(pk=asked.pk).is_requested)
    assert Pull.objects.get(pk=asked.pk).last_error == ""


@pytest.mark.parametrize("way", [_forward, _push, _pull])
def test_a_message_that_was_refused_with_the_token_goes_once_more_in_the_other_form(
    hub, sender, receiver, way
):
    only("plain", receiver)
    way(hub, sender, receiver)
    assert forms(receiver) == [BASE64, PLAIN]
    first, second = receiver.simulator.got
    assert second.body == first.body
    assert second.path == first.path
    assert second.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert second.headers["X-Correlation-ID"] == first.headers["X-Correlation-ID"]
    assert row(receiver).token_form == PLAIN
    plain = f"Token {receiver.simulator.hub.accepts}"
    until(lambda: holder.refresh().platforms[row(receiver).pk].authorization == plain)
    way(hub, sender, receiver)
    assert forms(receiver) == [BASE64, PLAIN, PLAIN]


def test_a_still_alive_check_finds_the_form(receiver):
    only("plain", receiver)
    assert still_alive.check_platform(row(receiver).pk)
    assert row(receiver).token_form == PLAIN


def test_a_profile_command_finds_the_form(hub):
    cpo, emsp = Actor(hub, Role.CPO), Actor(hub, Role.EMSP)
    assert cpo.put_session("S-FORM", emsp).json()["status_code"] == 1000
    cpo.running.set_faults(plain_tokens_only=True)
    assert emsp.put_profile("S-FORM", to=cpo).json()["data"]["result"] == "ACCEPTED"
    assert Party.objects.get(party_id=cpo.party.party_id).platform.token_form == PLAIN


def test_the_reverse_with_a_long_body(hub, sender, receiver):
    forget(receiver, token_form=PLAIN)
    only("base64", receiver, status=403, body=b"")
    body = b'{"n": "' + b"x" * 900_000 + b'"}'
    assert ask(hub, sender, "PUT", f"{PATH}/1", to=receiver, body=body).said == (200, 1000)
    assert forms(receiver) == [PLAIN, BASE64]
    assert [message.body for message in receiver.simulator.got] == [body, body]
    assert row(receiver).token_form == BASE64


def test_both_calls_are_in_the_record_and_counted(hub, sender, receiver):
    only("plain", receiver)
    ids = {"X-Correlation-ID": str(uuid4())}
    ask(hub, sender, "PUT", f"{PATH}/1", to=receiver, body=b"{}", headers=ids)
    found = recorded(3, correlation_id=ids["X-Correlation-ID"])
    statuses = sorted(one.http_status for one in found if one.direction == "OUT")
    assert statuses == [200, 401]
    recorder.flush()
    copy_to_table()
    label = f"{row(receiver).pk}|taken"
    assert Tally.objects.get(name="token_form_attempts", labels=label).number >= 1


# --- What is not remembered, and not tried --------------------------------------------------------


def test_a_platform_that_always_says_401_is_not_called_twice_for_ever(hub, sender, receiver):
    receiver.simulator.says = lambda message: raw(REFUSED, 401)
    for _ in range(3):
        assert ask(hub, sender, "PUT", f"{PATH}/1", to=receiver, body=b"{}").said == (200, 4003)
    assert forms(receiver) == [BASE64, PLAIN, BASE64, BASE64]
    assert row(receiver).token_form == BASE64
    assert 3500 < pause(receiver) <= 3600
    # A new token is another matter.
    receiver.update_credentials()
    assert row(receiver).other_form_not_before is None
    forget(receiver, other_form_not_before=timezone.now() - timedelta(seconds=1))
    only("plain", receiver)
    assert ask(hub, sender, "PUT", f"{PATH}/1", to=receiver, body=b"{}").said == (200, 1000)


@pytest.mark.parametrize("other", [raw(REFUSED, 401), raw(REFUSED, 400), raw(b"Oops", 500)])
def test_a_403_about_the_message_is_passed_on_and_changes_nothing(hub, sender, receiver, other):
    token = receiver.simulator.hub.accepts
    answers = {authorization(token): (REFUSED, 403), f"Token {token}": (other.body, other.status)}
    receiver.simulator.says = lambda message: raw(*answers[message.headers["Authorization"]])
    for _ in range(2):
        answer = ask(hub, sender, "PUT", f"{PATH}/1", to=receiver, body=b"{}")
        assert (answer.status, answer.body) == (403, REFUSED)
    assert forms(receiver) == [BASE64, PLAIN, BASE64]
    assert row(receiver).token_form == BASE64
    assert pause(receiver) > 3500 if other.status == 401 else 0 < pause(receiver) <= 60


def test_an_answer_that_says_nothing_of_the_token_is_passed_on_but_not_remembered(
    hub, sender, receiver
):
    only("plain", receiver)
    said = OK.replace(b"1000", b"2003")
    receiver.simulator.says = lambda m: raw(said) if m.connection else raw(REFUSED, 401)
    assert ask(hub, sender, "PUT", f"{PATH}/1", to=receiver, body=b"{}").said == (200, 2003)
    assert row(receiver).token_form == BASE64
    assert 0 < pause(receiver) <= 60


def test_no_answer_in_the_other_form_is_the_answer(hub, sender, receiver):
    only("plain", receiver)

    async def says(message):
        if message.connection is None:
            return raw(REFUSED, 401)
        await asyncio.sleep(PATIENCE)
        return raw()

    receiver.simulator.says = says
    with changed_setting("FORWARD_TIMEOUT", 1.5):
        answer = ask(hub, sender, "PUT", f"{PATH}/1", to=receiver, body=b"{}")
    assert answer.said == (200, 4002)
    assert row(receiver).token_form == BASE64
    assert 0 < pause(receiver) <= 60


def test_the_operators_form_is_never_tried_otherwise(hub, sender, receiver):
    for fixed, learned, wants in ((BASE64, PLAIN, "plain"), (PLAIN, BASE64, "base64")):
        receiver.simulator.got.clear()
        receiver.clear_faults()
        forget(receiver, fixed_token_form=fixed, token_form=learned)
        only(wants, receiver)
        for _ in range(2):
            said = ask(hub, sender, "PUT", f"{PATH}/1", to=receiver, body=b"{}").said
            assert said == (200, 4003)
        assert forms(receiver) == [fixed, fixed]
        # A 401 is the word of somebody who is there.
        assert still_alive.check_platform(row(receiver).pk)
        assert row(receiver).token_form == learned


def test_no_other_form_is_tried_in_a_handshake_nor_remembered_after_it(hub, sender, receiver):
    only("plain", receiver)
    platform = row(receiver)
    turn = handshake_turns.begin(platform.pk, 30)
    assert ask(hub, sender, "PUT", f"{PATH}/1", to=receiver, body=b"{}").said == (200, 4003)
    assert forms(receiver) == [BASE64]
    handshake_turns.end(platform.pk, turn)
    attempt = token_forms.begin(holder.refresh().platforms[platform.pk])
    turn = handshake_turns.begin(platform.pk, 30)
    token_forms.end(attempt, 401, Response(200, {}, OK))
    assert row(receiver).token_form == BASE64
    handshake_turns.end(platform.pk, turn)
    Platform.objects.filter(pk=platform.pk).update(token_b_encrypted=b"another")
    token_forms.end(attempt, 401, Response(200, {}, OK))
    assert row(receiver).token_form == BASE64
    Platform.objects.filter(pk=platform.pk).update(token_b_encrypted=platform.token_b_encrypted)
    token_forms.end(attempt, 401, Response(200, {}, OK))
    assert row(receiver).token_form == PLAIN


def test_a_process_that_knows_an_old_token_uses_the_new_one_and_learns_nothing(receiver):
    old = holder.refresh().platforms[row(receiver).pk]
    receiver.update_credentials()
    attempt = token_forms.begin(old)
    assert attempt.form is None
    assert attempt.authorization == directory.authorization(row(receiver)) != old.authorization
    token_forms.end(attempt, 401, Response(200, {}, OK))
    assert row(receiver).other_form_not_before is None


def test_of_many_refused_at_once_each_gets_through_and_the_form_changes_once(
    hub, sender, receiver, caplog
):
    only("plain", receiver)

    def put(number: int):
        return ask(hub, sender, "PUT", f"{PATH}/{number}", to=receiver, body=b"{}").said

    assert at_once(*(partial(put, number) for number in range(12))) == [(200, 1000)] * 12
    assert row(receiver).token_form == PLAIN
    assert len([one for one in caplog.records if one.name == "hub.parties.token_forms"]) == 1
