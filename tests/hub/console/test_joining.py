"""A platform's way in, as its page tells it: out of the record, and nothing that did not happen."""

import re
import shlex
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from hub.console.joining import State, steps
from hub.models import Endpoint, Party, Platform
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding
from tests.hub.recording import message

PARTY = PartyId("NL", "NEW")


def invited(name: str = "New B.V.") -> Platform:
    onboarding.invite(PARTY, [Role.CPO], name)
    return Platform.objects.get(name=name)


def states(platform: Platform) -> dict[str, State]:
    return {step.title: step.state for step in steps(platform)}


def text(platform: Platform) -> str:
    return "\n".join(line.text for step in steps(platform) for line in step.lines)


def test_a_new_invitation_has_one_step_behind_it(console):
    platform = invited()
    assert list(states(platform).values()) == [State.DONE, *[State.OPEN] * 6]
    page = console.get(reverse("joining", args=[platform.pk])).content.decode()
    assert "NL-NEW as CPO" in page
    assert "What is owed" in page  # with the menu around it
    assert "It has not called yet." in page
    assert reverse("joining-live", args=[platform.pk]) in page
    assert console.get(reverse("joining", args=[platform.pk + 1000])).status_code == 404


def test_a_failing_handshake_says_which_call_failed_and_why(db):
    platform = invited()
    now = timezone.now()
    own = {"sender": "NL-NEW", "platform_id": platform.pk, "direction": "IN", "receiver": ""}
    message(at=now, method="GET", module="versions", path="versions", kind="hub", **own)
    message(
        at=now + timedelta(seconds=2), direction="OUT", kind="handshake", method="GET",
        module="versions", path="versions", sender="", receiver="", related_id="of-the-post",
        http_status=404,
        ocpi_code=None, is_failed=True, problem="GET https://new.example/versions: HTTP 404",
    )  # fmt: skip
    message(
        at=now + timedelta(seconds=3), method="POST", module="credentials", kind="hub",
        correlation_id="of-the-post", ocpi_code=3001, is_failed=True, problem="cannot be read",
        **own,
    )  # fmt: skip
    found = states(platform)
    assert found["It reads the hub's versions"] == State.DONE
    assert found["Credentials are exchanged"] == State.FAILED
    told = text(platform)
    assert (
        "The hub asked GET versions: HTTP 404. GET https://new.example/versions: HTTP 404" in told
    )
    assert "OCPI 3001. cannot be read" in told


def test_modules_that_are_misspelt_or_missing_are_named(db):
    platform = invited()
    Platform.objects.filter(pk=platform.pk).update(registered_at=timezone.now())
    Party.objects.filter(platform=platform).update(status="CONNECTED")
    for identifier, role in (
        ("locations", "SENDER"), ("charging_profiles", "RECEIVER"), ("my-own", "SENDER"),
    ):  # fmt: skip
        url = f"https://new.example/{identifier}"
        Endpoint.objects.create(platform=platform, identifier=identifier, role=role, url=url)
    platform.refresh_from_db()
    told = text(platform)
    assert "charging_profiles is not a module of OCPI; chargingprofiles may be meant." in told
    assert "my-own is not a module" not in told
    assert "Not offered: tokens RECEIVER." in told
    assert "Not offered: locations SENDER." not in told
    assert states(platform)["Connected"] == State.DONE
    assert states(platform)["First messages"] == State.OPEN

    message(
        at=timezone.now(), direction="IN", sender="NL-NEW", module="locations", method="PUT",
        platform_id=platform.pk,
    )  # fmt: skip
    assert states(platform)["First messages"] == State.DONE


def test_the_sheet_has_three_calls_that_a_shell_understands(console):
    address = reverse("admin:hub_platform_invite")
    form_id = re.search(r'name="form_id" value="([^"]+)"', console.get(address).content.decode())
    assert form_id is not None
    form = {"country_code": "NL", "party_id": "NEW", "name": "d'Eau & Co", "roles": ["CPO"]}
    response = console.post(address, {**form, "form_id": form_id[1]})
    calls = [shlex.split(text) for _, text in response.context["sheet"] if text.startswith("curl")]
    assert len(calls) == 3
    assert all(call[1] == "-H" and call[2].startswith("Authorization: Token ") for call in calls)
    assert reverse("joining", args=[Platform.objects.get().pk]) in response.content.decode()
