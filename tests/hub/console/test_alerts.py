"""Alerts at the console: what goes on, targets whose address is a key, the test button."""

import pytest
from django.urls import reverse

from hub.monitoring.alerts.models import Rule, Target
from tests.hub.console import rows
from tests.hub.monitoring.alert_receivers import receiver

CONFIRMED = {"_form_submitted": "True"}


def form(url: str = "", **values: str) -> dict[str, str]:
    return {
        "name": "shift",
        "channel": "WEBHOOK",
        "address": url,
        "is_on": "on",
        "time_zone": "UTC",
    } | values


def page(console, name: str, *arguments) -> str:
    return str(console.get(reverse(f"admin:alerts_{name}", args=arguments)).content.decode())


def test_a_target_is_added_tested_and_its_address_never_shown_again(console):
    with receiver() as shift:
        console.post(reverse("admin:alerts_target_add"), form(shift.url))
        made = Target.objects.get()
        assert made.address == shift.url
        answer = console.post(
            reverse("admin:alerts_target_test", args=[made.pk]), CONFIRMED, follow=True
        )
        assert "has taken a test message" in answer.content.decode()
        assert [body["event"] for body in shift.bodies] == ["test"]
        shift.status = 410
        answer = console.post(
            reverse("admin:alerts_target_test", args=[made.pk]), CONFIRMED, follow=True
        )
        assert "It answered with HTTP 410." in answer.content.decode()
    html = page(console, "target_change", made.pk)
    assert "a-key" not in html
    assert made.secret in html
    # Without an address the kept one stays.
    console.post(reverse("admin:alerts_target_change", args=[made.pk]), form(name="renamed"))
    made.refresh_from_db()
    assert (made.name, made.address) == ("renamed", shift.url)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"address": ""}, "Say where it is told."),
        ({"address": "ftp://x.example"}, "is not an absolute http(s) URL"),
        ({"address": "http://169.254.169.254/"}, "private network"),
        ({"address": "nobody", "channel": "EMAIL"}, "is not an e-mail address"),
        ({"address": "http://127.0.0.1/", "quiet_from": "22:00"}, "a beginning and an end"),
        ({"address": "http://127.0.0.1/", "time_zone": "Mars"}, "is not a time zone"),
    ],
)
def test_what_could_never_be_told_is_refused(console, values, told):
    answer = console.post(reverse("admin:alerts_target_add"), form(**values))
    assert told in answer.content.decode()
    assert not Target.objects.exists()


def test_a_rule_is_settled_for_a_party(console):
    Rule.objects.all().delete()
    rule = {"name": "CPO away", "kind": "OFFLINE", "limit": "5", "severity": "CRITICAL"}
    rule |= {"ends_after": "60", "is_on": "on", "party": "nl-cpo"}
    answer = console.post(reverse("admin:alerts_rule_add"), rule | {"party": "NLCPO!"})
    assert "is not of the form NL-ABC" in answer.content.decode()
    answer = console.post(reverse("admin:alerts_rule_add"), rule | {"limit": "1e300"})
    assert "A limit is a number from 0 to" in answer.content.decode()
    console.post(reverse("admin:alerts_rule_add"), rule)
    assert Rule.objects.get().party == "NL-CPO"
    assert "CPO away" in page(console, "rule_changelist")


def test_what_goes_on_stands_on_the_overview_and_says_who_was_not_told(console):
    alert = rows.alert("Bornes du Sud is OFFLINE since 09:12 UTC.")
    html = console.get(reverse("admin:index")).content.decode()
    assert "Bornes du Sud is OFFLINE since 09:12 UTC." in html
    assert reverse("admin:alerts_alert_change", args=[alert.pk]) in html
    told = page(console, "alert_change", alert.pk)
    assert "Night shift: that it began, waits. It answered with HTTP 500." in told
