"""Searching the record: the criteria, page by page, for operators alone."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from hub.ocpi.party import PartyId
from hub.record.models import Message
from hub.record.search import Criteria, WrongCriterion, search
from tests.hub.recording import at, message

URL = "/admin/api/messages"
NOON = at("2026-03-01T12:00:00")
pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    """With the permission to see messages."""
    return _browser("operator", is_staff=True, permissions=["view_message"])


def _browser(name: str, *, is_staff: bool, permissions=()) -> Client:
    user = User.objects.create(username=name, is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def messages() -> dict[str, Message]:
    """One of each kind, a minute apart."""
    failed = {"is_failed": True, "http_status": 200}
    kinds: dict[str, dict[str, Any]] = {
        "location": {"object_id": "LOC1"},
        "back": {"sender": "DE-MSP", "receiver": "NL-CPO", "module": "tokens"},
        "unreachable": {**failed, "ocpi_code": 4003, "module": "sessions"},
        "html": {**failed, "ocpi_code": None, "sender": "FR-BDS", "receiver": "NL-CPO"},
        "delivery": {"kind": "delivery", "direction": "OUT", "sender": "NL-HUB"},
        "result": {"correlation_id": "its own", "related_id": "correlation"},
    }
    return {
        name: message(at=NOON + timedelta(minutes=number), **values)
        for number, (name, values) in enumerate(kinds.items())
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "result delivery html unreachable back location"),
        ({"party": "NL-CPO"}, "result html unreachable back location"),
        ({"party": "nl*cpo"}, "result html unreachable back location"),
        ({"party": "FR-BDS"}, "html"),
        ({"party": "XX-NON"}, ""),
        ({"module": "Tokens"}, "back"),
        ({"code": "1000"}, "result delivery back location"),
        ({"code": "4003"}, "unreachable"),
        ({"failed": "1"}, "html unreachable"),
        ({"kind": "delivery"}, "delivery"),
        ({"direction": "out"}, "delivery"),
        ({"direction": "IN", "party": "FR-BDS"}, "html"),
        ({"object": "loc1"}, "location"),
        ({"object": "LOC1", "party": "DE-MSP", "module": "tokens"}, ""),
        ({"object": "S1"}, ""),
        ({"correlation_id": "correlation"}, "result delivery html unreachable back location"),
        ({"correlation_id": "its own"}, "result"),
        ({"from": "2026-03-01T12:04:00Z"}, "result delivery"),
        ({"to": "2026-03-01T13:01:00+01:00"}, "location"),
        ({"from": "2026-03-01T12:01", "to": "2026-03-01T12:03"}, "unreachable back"),
        ({"party": "NL-CPO", "module": "sessions", "code": "4003", "failed": "1"}, "unreachable"),
        ({"party": "NL-CPO", "module": "cdrs"}, ""),
        ({"party": "DE-MSP", "correlation_id": "its own"}, "result"),
    ],
)
def test_all_criteria_must_fit(operator, messages, query, found):
    answer = operator.get(URL, query)
    assert answer.status_code == 200
    ids = [row["id"] for row in answer.json()["messages"]]
    assert ids == [messages[name].pk for name in found.split()]


def test_a_row_tells_everything(operator, messages):
    (row,) = operator.get(URL, {"code": "4003"}).json()["messages"]
    assert row["at"] == "2026-03-01T12:02:00Z"
    assert (row["request_id"], row["correlation_id"]) == ("request", "correlation")
    assert (row["sender"], row["receiver"], row["platform_id"]) == ("NL-CPO", "DE-MSP", 1)
    assert (row["http_status"], row["milliseconds"]) == (200, 7.0)


def test_pages_follow_each_other_without_gaps_also_within_one_moment(operator):
    made = [message(at=NOON + timedelta(microseconds=number // 4)) for number in range(21)]
    made.append(message(at=NOON, sender="DE-MSP", receiver="NL-CPO"))
    for query in ({"limit": "4"}, {"limit": "5", "party": "NL-CPO"}):
        found, before = [], ""
        while True:
            page = operator.get(URL, query | ({"before": before} if before else {})).json()
            found += [row["id"] for row in page["messages"]]
            assert len(page["messages"]) <= int(query["limit"])
            # What is new meanwhile does not shift the pages.
            message(at=NOON + timedelta(hours=1))
            if not (before := page["before"]):
                break
        assert [pk for pk in found if pk in {row.pk for row in made}] == [
            row.pk for row in sorted(made, key=lambda row: (row.at, row.pk), reverse=True)
        ]


def test_a_message_to_oneself_is_found_once():
    message(sender="NL-CPO", receiver="NL-CPO")
    assert len(search(Criteria(party=PartyId("NL", "CPO"))).messages) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"party": "NLCPO"},
        {"party": "N-C-P"},
        {"direction": "sideways"},
        {"code": "x"},
        {"code": "-1"},
        {"code": "9" * 30},
        {"code": "0" * 19 + "1" + "9" * 5000},
        {"limit": "0"},
        {"from": "yesterday"},
        {"to": "0001-01-01T00:00:00+23:59"},
        {"before": "1"},
        {"before": "a.b"},
        {"before": "9" * 40 + ".1"},
        {"before": "²000000.1"},
        {"before": "1.1" + "9" * 5000},
        {"before": "1" + "9" * 5000 + ".1"},
    ],
)
def test_a_wrong_criterion_is_told(operator, query):
    answer = operator.get(URL, query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["error"]
    with pytest.raises(WrongCriterion):
        Criteria.read(query)


@pytest.mark.parametrize(
    "query",
    [
        {"code": "99999999999"},
        {"module": "x\0"},
        {"before": "1.99999999999999999999999"},
        {"x": ""},
    ],
)
def test_an_odd_criterion_finds_nothing_and_breaks_nothing(operator, query):
    assert operator.get(URL, query).status_code in {200, 400}


def test_limits_are_bounded():
    assert Criteria.read({"limit": "100000"}).limit == 500
    assert Criteria.read({"limit": " "}).limit == 50


@pytest.mark.parametrize("url", [URL, "/admin/messages/", "/admin/messages/exchange/"])
def test_only_staff_with_the_permission_see_messages(url):
    assert (
        _browser("operator", is_staff=True, permissions=["view_message"]).get(url).status_code
        == 200
    )
    assert _browser("staff without", is_staff=True).get(url).status_code == 403
    for browser in (Client(), _browser("driver", is_staff=False, permissions=["view_message"])):
        answer = browser.get(url)
        assert answer.status_code in {302, 403}
        assert b"correlation" not in answer.content


def test_only_get(operator):
    assert operator.post(URL).status_code == 405
