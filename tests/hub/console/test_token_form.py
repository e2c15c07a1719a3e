"""How the hub writes its token to a platform, and who says so, at the platform's page."""

from datetime import timedelta

from django.utils import timezone

from hub.models import Platform, TokenForm
from hub.routing.directory import holder
from tests.hub.console import rows
from tests.hub.console.test_pulls import INLINES, address


def test_the_page_says_whether_the_form_was_learned_or_is_fixed(console):
    platform = rows.platform("Volt", ("NL", "CPO", "CPO"))

    def page() -> str:
        return console.get(address("change", platform)).content.decode()

    assert "Base64, as OCPI 2.2.1 asks; learned" in page()
    later = timezone.now() + timedelta(hours=1)
    rows_of_it = Platform.objects.filter(pk=platform.pk)
    rows_of_it.update(token_form=TokenForm.PLAIN, other_form_not_before=later)
    html = page()
    assert "plain, as many older systems do; learned." in html
    assert f"The other form is not tried before {later:%H:%M} UTC" in html
    sent = {"pull_rule": platform.pull_rule, "fixed_token_form": "BASE64", **INLINES}
    assert console.post(address("change", platform), sent).status_code == 302
    assert "Base64, as OCPI 2.2.1 asks; fixed by the operator" in page()
    platform.refresh_from_db()
    assert platform.form_in_use is TokenForm.BASE64
    assert holder.refresh().platforms[platform.pk].other_form_not_before == float("inf")
    # Back to what was learned.
    sent = {"pull_rule": platform.pull_rule, "fixed_token_form": "", **INLINES}
    assert console.post(address("change", platform), sent).status_code == 302
    platform.refresh_from_db()
    assert platform.form_in_use is TokenForm.PLAIN
