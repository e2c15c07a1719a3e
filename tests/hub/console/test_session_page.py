"""The page of a session: its picture over time, the life of its commands, who sees what."""

import json
import re
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flex.knowledge import facts
from flex.life.models import HubCommand
from hub.console import session_chart
from sessions.models import Session
from tests.flex.knowledge.told import Told, at, period, profile
from tests.hub.console import rows

pytestmark = pytest.mark.django_db
# The most queries of a page: what hangs on a session changes nothing of it.
MOST_QUERIES = 30


@pytest.fixture
def told() -> Told:
    """Four hours of charging to a profile in W, with preferences."""
    told = Told()
    told.gets(5, profile("W", (0, 11000)))
    told.puts(10, profile("W", (0, 4000), (60, 11000)))
    told.gets(11, profile("W", (0, 4000), (59, 11000)))
    told.meters(130, [period(0, ENERGY=1), period(30, POWER=4, ENERGY=2), period(70, ENERGY=8)])
    rows.preferences(told.session, 1)
    told.session.preferences.update(
        departure_time=at(240), energy_need=20, kwh_at_receipt=1, received_at=at(2)
    )
    return told


def page_of(session: Session, **more: str) -> str:
    return reverse("admin:ocpi_sessions_session_change", args=[session.pk])


def chart_of(session: Session, minutes: float = 130) -> session_chart.Chart:
    return session_chart.of(session, facts.of(session, at(minutes)))


def series(chart: session_chart.Chart) -> dict[str, list[tuple[float, float, float]]]:
    """By name: minutes from when to when, and the value."""

    def minutes(moment: datetime) -> float:
        return (moment - at(0)) / timedelta(minutes=1)

    return {
        f"{panel.key} {one.key}": [(minutes(p.begin), minutes(p.end), p.value) for p in one.parts]
        for panel in chart.panels
        for one in panel.series
    }


def test_limits_power_and_energy_stand_on_one_time_axis(told):
    chart = chart_of(told.session)
    assert [panel.key for panel in chart.panels] == ["power", "energy"]
    found = series(chart)
    assert found["power pushed"] == [(10, 70, 4), (70, 300, 11)]
    assert found["power active"][:2] == [(5, 11, 11), (11, 70, 4)]
    assert found["power measured"] == [(0, 30, 2), (30, 70, 4), (70, 130, 8)]
    assert found["energy energy"][:4] == [(0, 0, 0), (30, 30, 1), (70, 70, 3), (130, 130, 11)]
    assert found["energy need"] == [(2, 2, 1), (240, 240, 21)]
    assert (chart.begin, chart.end, chart.now) == (at(0), at(300), at(130))
    assert chart.marks == [("departure", at(240))]


def test_the_data_of_the_picture_says_each_moment_before_and_after_it(told):
    data = chart_of(told.session).data()
    power = {one["key"]: one["values"] for one in data["panels"][0]["series"]}
    assert len(data["times"]) == len(power["pushed"]) == len(power["measured"])
    index = data["times"].index(at(70).timestamp())
    assert power["pushed"][index : index + 2] == [4, 11]
    first = data["times"].index(at(10).timestamp())
    assert power["pushed"][first : first + 2] == [None, 4]


def test_the_table_says_the_same_without_a_picture(told):
    chart = chart_of(told.session)
    assert chart.heads() == [
        "from (UTC)",
        *("Pushed limit (kW)", "Active limit (kW)", "Measured power (kW)"),
        *("Charged (kWh)", "Needed, counted from when it was told (kWh)"),
    ]
    found = {row[0]: row[1:4] for row in chart.rows()}
    assert found["01 Mar 10:11:00"] == ["4", "4", "2"]
    assert found["01 Mar 11:10:00"] == ["11", "11", "8"]


def test_limits_in_amperes_are_not_mixed_with_measured_watts(told):
    told.puts(20, profile("A", (0, 16)))
    chart = chart_of(told.session)
    assert [panel.key for panel in chart.panels] == ["power", "current", "energy"]
    found = series(chart)
    assert found["current pushed"] == [(20, 300, 16)]
    assert found["power pushed"] == [(10, 20, 4)]
    assert any("how many phases" in note for note in chart.notes)


def test_a_picture_of_ten_thousand_changes_has_no_more_than_a_screen_shows(told):
    told.puts(15, profile("W", *((minute, 4000 + minute % 7) for minute in range(1400))))
    told.meters(1400, [period(minute, POWER=4) for minute in range(1300)])
    chart = chart_of(told.session, 1400)
    assert len(chart.moments) == session_chart.MOST_MOMENTS
    assert len(chart.rows()) <= session_chart.MOST_ROWS
    assert all(
        len(one["values"]) == 2 * session_chart.MOST_MOMENTS
        for panel in chart.data()["panels"]
        for one in panel["series"]
    )


def test_what_was_not_told_is_said_and_breaks_nothing():
    session = rows.session(3, start_date_time="soon", charging_periods="none", kwh="much")
    chart = chart_of(session)
    notes = " ".join(chart.notes)
    for words in ("no pushed limit", "no active limit", "no measured power", "No price is known"):
        assert words in notes
    json.dumps(chart.data(), allow_nan=False)


def test_the_page_is_quick_whatever_hangs_on_the_session(console, told):
    for minute in range(40, 60):
        told.gets(minute, profile("W", (0, 4000)))
    told.puts(60, profile("W", (0, 6000), (30, 11000)))
    html = console.get(page_of(told.session)).content.decode()
    with CaptureQueriesContext(connection) as captured:
        console.get(page_of(told.session))
    assert len(captured) <= MOST_QUERIES, [one["sql"][:90] for one in captured]
    for words in (
        "6, then 11 kW",
        "the CPO answered",
        "result ACCEPTED",
        "data objects are known",
    ):
        assert words in html, words
    assert f"{reverse('messages')}?object={told.session.session_id}" in html
    assert "all commands of this session" in html
    shipped = re.findall(r'(?:src|href)="([^"]*(?:uPlot|session)[^"]*\.(?:js|css))"', html)
    assert len(shipped) == 4


def test_what_changes_is_asked_alone_and_only_what_is_open(console, told):
    def live(**query: str) -> str:
        return str(console.get(page_of(told.session), {"live": "", **query}).content.decode())

    assert "<html" not in live()
    assert 'id="session-head"' in live()
    assert 'data-live="yes"' in live()
    assert 'id="body-bounds"' not in live()
    assert 'id="body-bounds"' in live(open="bounds,fsp")
    Session.objects.filter(pk=told.session.pk).update(status="COMPLETED")
    assert 'data-live="no"' in live()


def test_sections_are_shown_to_those_who_may_see_their_rows(told):
    user = User.objects.create(username="reader", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_session"))
    reader = Client()
    reader.force_login(user)
    html = reader.get(page_of(told.session)).content.decode()
    assert 'id="section-bounds"' in html
    for hidden in ("section-commands", "section-journal", "section-fsp", "section-preferences"):
        assert hidden not in html
    assert reverse("messages") + "?object" not in html
    release = reverse("admin:ocpi_sessions_session_release", args=[told.session.pk])
    assert reader.post(release, {"_form_submitted": "True"}).status_code == 403


def test_an_operator_releases_a_session_after_a_question(console, told):
    release = reverse("admin:ocpi_sessions_session_release", args=[told.session.pk])
    console.get(release)
    assert not HubCommand.objects.exists()
    said = console.post(release, {"_form_submitted": "True"}, follow=True).content.decode()
    assert "The session is being released, in the name of" in said
    wish = HubCommand.objects.get()
    assert (wish.wish, wish.session_id) == ("RELEASE", told.session.pk)
    Session.objects.filter(pk=told.session.pk).update(status="COMPLETED")
    assert console.post(release, {"_form_submitted": "True"}).status_code == 403
