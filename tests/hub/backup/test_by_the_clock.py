"""Backups by the clock: when one is due, what is kept, and what an operator is told."""

import stat
from datetime import UTC, datetime, timedelta

import pyrage
import pytest
import time_machine
from django.core.management import CommandError, call_command

from hub import backup
from hub.backup import by_the_clock, places
from hub.backup.archive import BackupError, opened
from hub.models import Backup

DAY = timedelta(days=1)
NIGHT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


@pytest.fixture
def folder(settings, tmp_path):
    """Where they go."""
    settings.FLEXHUB_DATA = tmp_path / "data"
    settings.BACKUP_TO = str(tmp_path / "kept")
    return tmp_path / "kept"


def names(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.django_db(transaction=True)
def test_one_a_day_is_made_and_old_ones_go_except_the_last_three(folder, settings):
    settings.BACKUPS_KEPT_DAYS = 2
    assert backup.last().is_too_old  # none was ever begun
    for day in range(5):
        with time_machine.travel(NIGHT + day * DAY, tick=False):
            by_the_clock.make_due()
            by_the_clock.make_due()  # a minute later: not due
            assert Backup.objects.count() == day + 1
    days = [places.time_of(name) for name in names(folder)]
    assert days == [NIGHT + day * DAY for day in (2, 3, 4)]
    (folder / "notes.txt").touch()
    with time_machine.travel(NIGHT + 30 * DAY, tick=False):
        assert backup.last().is_too_old
        by_the_clock.make_due()
        assert not backup.last().is_too_old
    # The last three whatever their age, and nothing that is not a backup of this hub.
    assert len(names(folder)) == 4
    newest = folder / names(folder)[2]
    assert backup.last().where == str(newest)
    assert backup.last().size == newest.stat().st_size
    assert stat.S_IMODE(newest.stat().st_mode) == 0o600
    with opened(newest) as archive:
        assert archive.manifest.tables["hub_backup"] == 6  # itself: it had begun
    assert not list(settings.FLEXHUB_DATA.glob("backup-*"))


@pytest.mark.django_db(transaction=True)
def test_one_that_fails_is_told_and_tried_again_after_an_hour(folder):
    folder.write_text("a file where the folder should be")
    with time_machine.travel(NIGHT, tick=False):
        by_the_clock.make_due()
        by_the_clock.make_due()
    assert Backup.objects.count() == 1
    told = backup.last()
    assert told.at is None
    assert "kept" in told.problem
    assert told.too_old_at == NIGHT + 2 * DAY
    folder.unlink()
    with time_machine.travel(NIGHT + timedelta(minutes=61), tick=False):
        by_the_clock.make_due()
        told = backup.last()
    assert (told.at, told.problem) == (NIGHT + timedelta(minutes=61), "")


@pytest.mark.django_db(transaction=True)
def test_an_encrypted_one_is_read_with_its_private_key_alone(folder, settings, tmp_path):
    key = pyrage.x25519.Identity.generate()
    settings.BACKUP_AGE_RECIPIENT = str(key.to_public())
    call_command("backup")
    (name,) = names(folder)
    assert name.endswith(".zip.age")
    with pytest.raises(BackupError), opened(folder / name):
        pass
    with pytest.raises(CommandError, match="--age-identity"):
        call_command("restore", str(folder / name), replace=True)
    identity = tmp_path / "identity"
    identity.write_text(f"# created: today\n{pyrage.x25519.Identity.generate()}\n")
    with pytest.raises(CommandError, match="does not open"):
        call_command("restore", str(folder / name), age_identity=identity, replace=True)
    identity.write_text(f"# created: today\n{key}\n")
    plain = tmp_path / "plain.zip"
    call_command("backups", fetch=name, into=plain, age_identity=identity)
    with opened(plain) as archive:
        assert archive.manifest.rows > 0


@pytest.mark.django_db
def test_where_nothing_is_set_nothing_is_made_or_missed(settings):
    settings.BACKUP_TO = ""
    by_the_clock.make_due()
    assert backup.last() == backup.Last(None, "", 0, "", is_expected=False, too_old_at=None)
    assert not backup.last().is_too_old
    with pytest.raises(CommandError, match="BACKUP_TO"):
        call_command("backup")
