"""manage.py alerts, alert_target, alert_rule."""

import pytest
from django.core.management import CommandError

from hub.monitoring.alerts.models import Rule, Target
from tests.hub.commands.calling import run
from tests.hub.console import rows
from tests.hub.monitoring.alert_receivers import receiver

pytestmark = pytest.mark.django_db


def test_a_target_is_made_tested_changed_and_removed():
    with receiver() as shift:
        told = run("alert_target", "shift", "--webhook", shift.url, "--test")
        assert Target.objects.get().secret in told
        assert "has taken a test message" in told
        assert "a-key" not in told
        told = run("alert_target", "shift", "--quiet", "22:00-07:00", "--time-zone", "Asia/Tokyo")
        assert "whsec_" not in told
        shift.status = 500
        with pytest.raises(CommandError, match="was not told: It answered with HTTP 500"):
            run("alert_target", "shift", "--test")
    kept = Target.objects.get()
    assert (kept.time_zone, kept.quiet_from.hour, kept.address) == ("Asia/Tokyo", 22, shift.url)
    run("alert_target", "shift", "--off", "--quiet", "no")
    kept.refresh_from_db()
    assert (kept.is_on, kept.quiet_from) == (False, None)
    run("alert_target", "shift", "--remove")
    assert not Target.objects.exists()


def test_rules_are_made_changed_and_listed():
    alert = rows.alert("Bornes du Sud is OFFLINE.")
    run("alert_rule", "Night", "--kind", "BACKLOG", "--limit", "5", "--tell", "Night shift")
    run("alert_rule", "Night", "--party", "nl-cpo", "--severity", "critical", "--off")
    kept = Rule.objects.get(name="Night")
    assert (kept.limit, kept.party, kept.severity, kept.is_on) == (5, "NL-CPO", "CRITICAL", False)
    assert [target.name for target in kept.targets.all()] == ["Night shift"]
    told = run("alerts")
    for line in (
        f"WARNING Party OFFLINE since {alert.began_at:%Y-%m-%d %H:%M} UTC: Bornes du Sud",
        "Night (off): BACKLOG 5 NL-CPO",
        "Night shift: WEBHOOK https://shift.example/… It answered with HTTP 500.",
    ):
        assert line in told
    run("alert_rule", "Night", "--remove")
    assert not Rule.objects.filter(name="Night").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("alert_target", "new"), "Say where"),
        (("alert_target", "new", "--remove"), "There is no target 'new'"),
        (("alert_target", "new", "--email", "nobody"), "not an e-mail address"),
        (("alert_target", "new", "--email", "a@b.example", "--quiet", "late"), "not of the form"),
        (("alert_target", "new", "--email", "a@b.example", "--time-zone", "Mars"), "time zone"),
        (("alert_rule", "new"), "needs --kind and --limit"),
        (("alert_rule", "new", "--remove"), "There is no rule 'new'"),
        (("alert_rule", "new", "--kind", "DISK", "--limit", "-1"), "from 0 to"),
        (("alert_rule", "new", "--kind", "DISK", "--limit", "9", "--party", "x"), "form NL-ABC"),
        (("alert_rule", "new", "--kind", "DISK", "--limit", "9", "--tell", "x"), "no target 'x'"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(arguments, told):
    with pytest.raises(CommandError, match=told):
        run(*arguments)
    assert not Target.objects.exists()
    assert not Rule.objects.filter(name="new").exists()
