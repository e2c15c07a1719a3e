"""manage.py rotate_keys: a new key while the hub runs, restartable, and nothing lost."""

import stat

import pytest
from django.core import signing
from django.core.management import CommandError, call_command
from django.db import connection

from hub.db import secret_box
from hub.management import keys
from hub.models import Platform


@pytest.mark.django_db
def test_what_a_former_key_encrypted_is_read_and_encrypted_anew(settings, capsys):
    former = settings.ENCRYPTION_KEY
    for number in range(3):
        Platform.objects.create(
            name=f"P{number}", token_b_encrypted=secret_box.encrypt(f"token {number}")
        )
    Platform.objects.create(name="invited only")
    settings.ENCRYPTION_KEY = "the new one"
    with pytest.raises(secret_box.WrongKey):
        Platform.objects.get(name="P0").token_b  # noqa: B018
    settings.FORMER_ENCRYPTION_KEYS = ["one of long ago", former]
    assert Platform.objects.get(name="P0").token_b == "token 0"
    # One was renewed before the run was killed: it is not touched again.
    first = Platform.objects.get(name="P0")
    first.token_b_encrypted = secret_box.renewed(bytes(first.token_b_encrypted))
    first.save()
    call_command("rotate_keys", check=True)
    assert "2 values are under a former key" in capsys.readouterr().out
    call_command("rotate_keys")
    told = capsys.readouterr().out
    assert "hub_platform.token_b_encrypted: 2 encrypted anew." in told
    assert "Nothing is under a former key" in told
    settings.FORMER_ENCRYPTION_KEYS = []
    tokens = [one.token_b for one in Platform.objects.order_by("name")]
    assert tokens == ["token 0", "token 1", "token 2", ""]
    assert Platform.objects.get(name="P0").token_b_encrypted == first.token_b_encrypted


@pytest.mark.django_db
def test_what_no_key_opens_stays_and_is_told(settings):
    Platform.objects.create(name="P", token_b_encrypted=secret_box.encrypt("token"))
    settings.ENCRYPTION_KEY, settings.FORMER_ENCRYPTION_KEYS = "new", ["not that one"]
    with pytest.raises(CommandError, match="cannot be decrypted"):
        call_command("rotate_keys")
    with pytest.raises(CommandError, match="1 values are under a former key"):
        call_command("rotate_keys", forget=True)


@pytest.mark.django_db
def test_a_generated_key_is_replaced_in_steps(settings, tmp_path):
    settings.FLEXHUB_DATA = tmp_path
    file, former = tmp_path / "secret.key", tmp_path / "former.keys"
    file.write_text("first")
    call_command("rotate_keys", new=True)
    second = file.read_text()
    call_command("rotate_keys", new=True)
    assert former.read_text().split() == [second, "first"]
    assert file.read_text() not in {second, "first"}
    assert {stat.S_IMODE(one.stat().st_mode) for one in (file, former)} == {0o600}
    call_command("rotate_keys", forget=True)
    assert not former.exists()


def test_sessions_signed_with_a_former_secret_key_are_still_read(settings):
    signed = signing.dumps("who")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another one"
    assert signing.loads(signed) == "who"


@pytest.mark.django_db
def test_each_column_of_ciphertext_is_known_by_its_name():
    assert (Platform, "token_b_encrypted") in set(keys.encrypted_columns())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM information_schema.columns "
            "WHERE table_schema = 'public' AND column_name LIKE '%encrypted%'"
        )
        assert cursor.fetchone()[0] == len(list(keys.encrypted_columns()))
