"""The switch of a platform whose deviations are refused, at its page."""

from django.contrib.auth.models import Permission, User

from hub.routing.directory import load
from tests.hub.console import rows
from tests.hub.console.test_pulls import INLINES, address


def test_an_operator_may_have_what_deviates_refused(console):
    platform = rows.platform("Volt", ("NL", "CPO", "CPO"))
    html = console.get(address("change", platform)).content.decode()
    assert "refuse what deviates" in html.lower()
    assert not load().platforms[platform.pk].is_strict
    sent = {"pull_rule": platform.pull_rule, "is_strict": "on", **INLINES}
    assert console.post(address("change", platform), sent).status_code == 302
    platform.refresh_from_db()
    assert platform.is_strict
    assert load().platforms[platform.pk].is_strict


def test_who_may_only_look_does_not(client, db):
    platform = rows.platform("Volt", ("NL", "CPO", "CPO"))
    reader = User.objects.create(username="reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_platform"))
    client.force_login(reader)
    assert client.post(address("change", platform), {"is_strict": "on"}).status_code == 403
    platform.refresh_from_db()
    assert not platform.is_strict
