"""The directory: a snapshot out of the last one and what has changed is as good as a whole one."""

import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from hub.db import secret_box
from hub.gateway import process
from hub.models import Agreement, DirectoryChange, DirectoryReader, Endpoint, Party, Platform
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.headers import authorization
from hub.ocpi.party import PartyId
from hub.parties import onboarding
from hub.record.models import BodyRecording
from hub.routing import directory, directory_rows
from hub.routing.directory import Directory, DirectoryHolder
from tests.hub.strangers import until

pytestmark = pytest.mark.django_db(transaction=True)
NUMBER = 20


def _party(number: int) -> PartyId:
    return PartyId("XX", f"{number:03}")


@pytest.fixture
def platforms() -> list[Platform]:
    """Registered ones, with two endpoints and a party each."""
    found = []
    for number in range(NUMBER):
        platform = Platform.objects.create(
            name=f"Platform {number}",
            registered_at=timezone.now(),
            token_c_hash=secret_box.token_hash(f"token {number}"),
            token_b_encrypted=secret_box.encrypt(f"theirs {number}"),
        )
        for module in ("locations", "hubclientinfo"):
            Endpoint.objects.create(
                platform=platform, identifier=module, role="RECEIVER", url=f"https://x/{number}"
            )
        country_code, party_id = _party(number)
        Party.objects.create(
            platform=platform,
            country_code=country_code,
            party_id=party_id,
            role=Role.CPO,
            status="CONNECTED",
        )
        found.append(platform)
    return found


def _agree(one: int, other: int, *, is_open: bool = True) -> Agreement:
    a, b = _party(one), _party(other)
    return Agreement.objects.create(
        country_code_a=a.country_code,
        party_id_a=a.party_id,
        country_code_b=b.country_code,
        party_id_b=b.party_id,
        is_open=is_open,
    )


def _same(one: Directory, other: Directory) -> bool:
    """As far as somebody who asks them can tell."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in (
            *("version", "platforms", "parties", "tokens", "agreements", "agreement_keys"),
            "recorded_bodies",
        )
    )


def _moved(platforms) -> None:
    with transaction.atomic():
        Party.objects.filter(party_id="003").delete()
        Party.objects.create(
            platform=platforms[4], country_code="XX", party_id="003", role=Role.EMSP
        )


def _rotated(platforms) -> None:
    row = Platform.objects.filter(pk=platforms[5].pk)
    row.update(token_c_hash=secret_box.token_hash("new"), token_b_encrypted=b"", is_strict=True)


def _recorded(platforms) -> None:
    until_then = timezone.now() + timedelta(hours=1)
    BodyRecording.objects.create(country_code="XX", party_id="001", until=until_then)


CHANGES = {
    "a status": lambda _: Party.objects.filter(party_id="001").update(status="OFFLINE"),
    "two roles": lambda p: Party.objects.create(
        platform=p[2], country_code="XX", party_id="002", role=Role.EMSP, status="SUSPENDED"
    ),
    "a party on another platform": _moved,
    "tokens": _rotated,
    "an endpoint": lambda p: Endpoint.objects.filter(
        platform=p[6], identifier="locations"
    ).delete(),
    "a claim": lambda p: Party.objects.create(
        platform=p[7], country_code="XX", party_id="CLM", role=Role.EMSP, admission="CLAIMED"
    ),
    "a platform that goes": lambda p: Platform.objects.get(pk=p[8].pk).delete(),
    "one that comes": lambda _: onboarding.invite(PartyId("XX", "NEW"), [Role.CPO], "New"),
    "an agreement": lambda _: _agree(9, 10, is_open=False),
    "its end": lambda _: Agreement.objects.all().delete(),
    "a recording": _recorded,
    "its end too": lambda _: BodyRecording.objects.all().delete(),
    "nothing": lambda _: Party.objects.filter(party_id="012").update(role=Role.CPO),
    "many at once": lambda _: Party.objects.update(status="OFFLINE"),
}


def test_what_has_changed_leads_to_the_same_as_reading_everything(platforms):
    holder = DirectoryHolder()
    first = holder.refresh().authenticate(authorization("token 5"))
    assert first.platform.name == "Platform 5"
    assert first.platform.endpoint("locations", InterfaceRole.RECEIVER) == "https://x/5"
    assert first.platform.authorization == authorization("theirs 5")
    assert first.platform.parties == (_party(5),)
    assert not first.platform.is_strict
    assert holder.snapshot.parties[_party(5)].roles == {Role.CPO}
    _agree(0, 1)
    holder.refresh()
    for what, change in CHANGES.items():
        before = holder.refresh()
        change(platforms)
        after = holder.refresh()
        assert _same(after, directory.load()), what
        assert (after is before) == (what == "nothing"), what
        # And it was read from the changes, not anew.
        rows = directory_rows.read_changed(before.version)
        assert not rows.is_whole, what
        assert len(rows.platforms) <= (2 if what != "many at once" else NUMBER), what
    assert after.authenticate(authorization("token 5")) is None
    assert after.authenticate(authorization("new")).platform.id == platforms[5].pk


def test_it_is_one_statement(platforms, django_assert_num_queries):
    """A column that is not read with the rest would be a query for each platform."""
    holder = DirectoryHolder()
    with django_assert_num_queries(0):  # What is prepared is not counted.
        holder.refresh()
    Party.objects.filter(party_id="001").update(status="OFFLINE")
    with django_assert_num_queries(0):
        holder.refresh()


def test_an_old_or_foreign_version_reads_everything(platforms):
    known = directory.load().version
    Party.objects.filter(party_id="001").update(status="OFFLINE")
    assert not directory_rows.read_changed(known).is_whole
    assert directory_rows.read_changed(known - 1).is_whole
    # Of before a restored backup.
    assert directory_rows.read_changed(known + 3_600_000_000).is_whole
    # Changes are noted for an hour, the last one for ever.
    with connection.cursor() as cursor:
        cursor.execute("UPDATE hub_directorychange SET version = version - 3600000000")
    Party.objects.filter(party_id="002").update(status="OFFLINE")
    assert DirectoryChange.objects.count() == 1
    assert directory_rows.read_changed(known).is_whole


def test_versions_follow_the_commits(platforms):
    """A change that began earlier and commits later is not missed."""
    holder = DirectoryHolder()
    holder.refresh()
    early = connection.copy()
    try:
        early.set_autocommit(False)
        with early.cursor() as cursor:
            cursor.execute("UPDATE hub_party SET status = 'OFFLINE' WHERE party_id = '001'")
        Party.objects.filter(party_id="002").update(status="OFFLINE")
        assert holder.refresh().parties[_party(2)].status == "OFFLINE"
        assert holder.refresh().parties[_party(1)].status == "CONNECTED"
        early.commit()
        assert holder.refresh().parties[_party(1)].status == "OFFLINE"
    finally:
        early.close()


def test_a_web_process_says_by_which_version_it_routes_and_that_it_lives(platforms):
    holder = DirectoryHolder()
    holder.confirm("web-1")
    assert DirectoryReader.objects.get().version == directory.current_version()

    def seen_at():
        holder.confirm("web-1")
        return DirectoryReader.objects.get().seen_at

    until(lambda: seen_at() == seen_at())  # Not each time.
    Party.objects.filter(party_id="001").update(status="OFFLINE")
    began = time.monotonic()
    assert directory.wait_until_confirmed() is False
    assert time.monotonic() - began >= directory.CONFIRMATION_WAIT
    holder.confirm("web-1")
    assert directory.wait_until_confirmed() is True
    holder.leave("web-1")


def test_many_changes_are_looked_at_together(hub):
    platform = Platform.objects.create(name="Busy")
    versions, began = set(), time.monotonic()
    for number in range(300):
        Platform.objects.filter(pk=platform.pk).update(name=f"Busy {number}")
        versions.add(DirectoryReader.objects.get().version)
    until(lambda: DirectoryReader.objects.get().version == directory.current_version())
    assert len(versions) < 2 + 1.1 * (time.monotonic() - began) / process.FOLLOW_EVERY
