"""Backups in an S3-compatible store that checks signatures: parts, pages, failures, retention."""

import os
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.management import call_command

from hub import backup
from hub.backup import by_the_clock
from hub.backup.archive import BackupError, opened
from hub.backup.places import S3
from hub.backup.s3 import Bucket, Credentials
from tests.cases import case
from tests.hub.backup.s3_server import ACCESS, REGION, SECRET, serving


@pytest.fixture
def store():
    with serving() as serving_store:
        yield serving_store


def bucket(store, secret=SECRET, name="vault", part=100_000):
    return Bucket(store.endpoint, name, Credentials(ACCESS, secret, REGION), part=part)


def test_a_large_file_goes_in_parts_and_comes_back(store, tmp_path):
    file, back = tmp_path / "large", tmp_path / "back"
    file.write_bytes(os.urandom(250_000))
    store.fail_next = [200, 503]  # the second part is sent once more
    bucket(store).put(file, "a b/ü+&=.zip")
    assert store.objects["a b/ü+&=.zip"] == file.read_bytes()
    assert sum("partNumber" in line for line in store.asked) == 4
    bucket(store).get("a b/ü+&=.zip", back)
    assert back.read_bytes() == file.read_bytes()
    assert back.stat().st_mode & 0o777 == 0o600


def test_an_upload_that_fails_leaves_no_parts_behind(store, tmp_path):
    file = tmp_path / "large"
    file.write_bytes(bytes(250_000))
    store.fail_next = [200, 403]
    with pytest.raises(BackupError, match="HTTP 403 Forbidden: AccessDenied: so"):
        bucket(store).put(file, "large")
    assert store.uploads == {}
    assert store.objects == {}
    assert file.exists()


def test_what_is_not_kept_by_the_store_is_not_removed_here(store, tmp_path):
    """A redirect (a proxy, another region), a status without a name, a 200 that was not true."""
    file, place = tmp_path / "only copy", S3(bucket(store), "")
    for size, status, words in (
        (10, 301, "HTTP 301 .*leads to https://elsewhere.example/: is BACKUP_S3_ENDPOINT right"),
        (10, 302, "HTTP 302"),
        (10, 307, "HTTP 307"),
        (250_000, 308, "HTTP 308"),
        (10, 530, "HTTP 530"),
        (10, 200, "it is not there"),
    ):
        file.write_bytes(bytes(size))
        store.fail_next, store.drops = [status], status == 200
        store.leads_to = "https://elsewhere.example/"
        with case(size, status), pytest.raises(BackupError, match=words):
            place.put(file, "flexhub-NL-HUB-20260301T020000Z.zip")
        assert file.exists()
    assert (store.objects, store.uploads) == ({}, {})


def test_what_a_store_refuses_is_told_in_its_words_without_the_key(store, tmp_path):
    with pytest.raises(BackupError, match="SignatureDoesNotMatch") as told:
        list(bucket(store, secret="wrong key").listed(""))
    assert "wrong key" not in str(told.value)
    with pytest.raises(BackupError, match="NoSuchBucket"):
        list(bucket(store, name="nowhere").listed(""))
    with pytest.raises(BackupError, match="BACKUP_S3_ACCESS_KEY"):
        Bucket(store.endpoint, "vault", Credentials("", "", REGION))


@pytest.mark.django_db(transaction=True)
def test_backups_by_the_clock_go_there_and_old_ones_from_there(store, settings, tmp_path):
    settings.FLEXHUB_DATA = tmp_path / "data"
    settings.BACKUP_TO = "s3://vault/hubs/one"
    settings.BACKUP_S3_ENDPOINT, settings.BACKUP_S3_REGION = store.endpoint, REGION
    settings.BACKUP_S3_ACCESS_KEY, settings.BACKUP_S3_SECRET_KEY = ACCESS, SECRET
    store.objects["hubs/one/flexhub-DE-OTHER-20200101T000000Z.zip"] = b"of another hub"
    store.objects["hubs/one/flexhub-NL-HUB-20200101T000000Z.zip"] = b"ours, and old"
    begun = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
    for day in range(3):
        with time_machine.travel(begun + timedelta(days=day), tick=False):
            by_the_clock.make_due()
    names = [f"hubs/one/flexhub-NL-HUB-2026030{day}T020000Z.zip" for day in (1, 2, 3)]
    assert sorted(store.objects) == ["hubs/one/flexhub-DE-OTHER-20200101T000000Z.zip", *names]
    assert backup.last().where == f"s3://vault/{names[2]}"
    file = tmp_path / "fetched.zip"
    call_command("backups", fetch=names[2].rpartition("/")[2], into=file)
    with opened(file) as archive:
        assert archive.manifest.rows > 0
