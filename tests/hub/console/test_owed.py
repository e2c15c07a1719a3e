"""What is owed: by receiver and module, object by object, and trying again what was refused."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.urls import reverse

from hub.models import Delivery, Platform, StaleCopy
from hub.outbox import owed
from tests.hub.console import rows

pytestmark = pytest.mark.usefixtures("filled")
COPIES = "admin:hub_stalecopy_changelist"


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def shown(console, address: str) -> str:
    response = console.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_it_is_told_by_receiver_and_module_where_the_oldest_waits_first(console):
    html = shown(console, reverse("owed"))
    lines = [text_of(line) for line in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)]
    told = [re.sub(r"\d+(\.\d)? (s|min)( \d+ s)? ago", "T", line).split() for line in lines[1:]]
    assert [line[2:] for line in told] == [
        ["tariffs", "1", "-", "T", "-", "-", "-", "-"],
        ["locations", "1", "-", "T", "-", "1", "T", *["HTTP", "200,", "OCPI", "2001:", "Invalid"]],
        ["tokens", "1", "-", "T", "-", "1", "T", *["HTTP", "200,", "OCPI", "2001:", "Invalid"]],
        ["sessions", "-", "1", "T", "3", "-", "-", "-"],
    ]
    scsp = Platform.objects.get(name="Slimladen")
    for link in re.findall(r'href="([^"]+receiver__id__exact[^"]+)"', html):
        number = 3 if "again=yes" in link else 1
        assert shown(console, link.replace("&amp;", "&")).count("field-state_") == number, link
    assert "locations, objects waiting: 1, objects refused: 1" in text_of(
        shown(console, reverse("admin:hub_platform_change", args=[scsp.pk]))
    )
    others = Platform.objects.exclude(pk=scsp.pk).first()
    assert others is not None
    assert "Nothing: every" in shown(console, f"{reverse('owed')}?receiver={others.pk}")
    assert "Slimladen" in shown(console, f"{reverse('owed')}?receiver={scsp.pk}")


def test_an_object_is_found_by_its_names_but_a_token_by_nothing_that_is_secret(console):
    for asked, number in (
        ({"state": "REFUSED"}, 2),
        ({"module": "tokens"}, 2),
        ({"q": "loc1"}, 1),
        ({"q": "nl-cpo"}, 3),
        ({"q": rows.TOKEN_UID}, 0),
    ):
        response = console.get(reverse(COPIES), asked)
        assert response.content.decode().count("field-state_") == number, asked
    # The whole page, and also what the console itself logs of it.
    tokens = StaleCopy.objects.filter(module="tokens", state="REFUSED")
    choice = {"action": "try_selected_again", "_selected_action": [tokens.get().pk]}
    html = console.post(reverse(COPIES), choice, follow=True).content.decode()
    assert rows.TOKEN_UID not in html
    assert not LogEntry.objects.filter(object_repr__contains=rows.TOKEN_UID)


def test_what_was_refused_waits_once_more(console, operator):
    [one, other] = StaleCopy.objects.filter(state="REFUSED").order_by("id")
    again = reverse("admin:hub_stalecopy_try_again", args=[one.pk])
    assert console.post(again, {"_form_submitted": "True"}).status_code in {200, 302}
    one.refresh_from_db()
    assert (one.state, one.raised, one.outcome, one.patch) == ("WAITING", 2, "", None)
    assert LogEntry.objects.get(user=operator).object_id == str(one.pk)
    # What is sent just now clears the number that it has read, and this is a newer one.
    waiting = StaleCopy.objects.exclude(pk=other.pk).values_list("pk", "raised")
    before = dict(waiting)
    choice = {"action": "try_selected_again", "_selected_action": [*before, other.pk]}
    console.post(reverse(COPIES), choice)
    assert dict(waiting) == before
    other.refresh_from_db()
    assert (other.state, other.raised) == ("WAITING", 2)
    # Nothing of it is refused any more.
    console.post(reverse(COPIES), choice)
    other.refresh_from_db()
    assert (other.state, other.raised) == ("WAITING", 2)


def test_a_message_that_was_given_up_is_sent_again(console, operator, caplog):
    [one, *others] = Delivery.objects.filter(state__in=["REFUSED", "FAILED", "DROPPED"])
    listed = "admin:hub_delivery_changelist"
    assert shown(console, f"{reverse(listed)}?again=yes").count("field-state_") == 3
    address = reverse("admin:hub_delivery_send_again", args=[one.pk])
    assert console.get(address).status_code == 200
    console.post(address, {"_form_submitted": "True"})
    chosen = [row.pk for row in Delivery.objects.all()]
    choice = {"action": "send_selected_again", "_selected_action": chosen}
    html = text_of(console.post(reverse(listed), choice, follow=True).content.decode())
    assert "2 wait once more; 3 not: it waits, has arrived, or its body is kept no more." in html
    for row in Delivery.objects.exclude(state="DELIVERED"):
        assert (row.state, row.ended_at) == ("WAITING", None)
        assert (row.resent_at is not None) == (row in [one, *others])
    assert "sent again by operator: 2 wait once more" in caplog.text
    assert LogEntry.objects.filter(user=operator, object_id=str(one.pk)).exists()


def test_a_long_backlog_is_counted_up_to_a_limit(console):
    scsp = Platform.objects.get(name="Slimladen")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO hub_stalecopy (receiver_id, party, module, owner, object_id, variant, "
            "part, spelling, is_deleted, priority, raised, correlation_id, merged, first_at, "
            "state, outcome) SELECT %s, 'NL-SCS', 'locations', 'NL-CPO', 'X' || n, '', '', '', "
            "false, 1, 1, 'c', '{}', now(), 'WAITING', '' FROM generate_series(1, %s) AS n",
            [scsp.pk, owed.MOST_COUNTED + 5],
        )
    assert "10,000+" in shown(console, reverse("owed"))
    assert "10,000+" in shown(console, reverse("admin:index"))
    assert "10000 stale copies" in text_of(shown(console, reverse(COPIES)))
    lane = next(one for one in owed.lanes(scsp.pk) if one.module == "locations")
    first = StaleCopy.objects.filter(module="locations", state="WAITING").earliest("first_at")
    assert lane.oldest == first.first_at
    assert owed.by_receiver()[0][1] == owed.MOST_COUNTED + 5 + 4
