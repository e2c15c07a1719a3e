"""Keys of the flex API: made, shown once, hashed, throttled, revoked."""

import threading
from datetime import timedelta
from io import StringIO

import pytest
import requests
from django.core.management import CommandError, call_command
from django.utils import timezone

from flex.api.models import ApiKey, Use
from hub.gateway.apis import _key_in
from hub.ocpi.datatypes import Role
from hub.ocpi.headers import authorization
from hub.parties import onboarding
from hub.routing.directory import wait_until_confirmed
from tests.cases import case
from tests.flex.api.calling import Api, refused
from tests.hub.strangers import until
from tests.running_hub import changed_setting
from tests.scripted import Actor


def told(*arguments: str) -> str:
    out = StringIO()
    call_command("flex_key", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def test_the_command_line_makes_lists_and_revokes_keys(cast):
    secret = told(str(cast.emsp), "--name", "the app")
    api = Api(cast.hub.url, secret)
    assert api.get("fsp/sessions")["sessions"] == []
    [row] = ApiKey.objects.filter(name="the app")
    assert row.uses == ["FSP", "EMSP"]
    assert secret not in str(vars(row))
    assert "the app" in told(str(cast.emsp), "--list")
    assert "is revoked." in told("--revoke", row.prefix)
    assert refused(api.send("GET", "fsp/sessions")) == (401, "KEY_REVOKED")
    assert "already" in told("--revoke", row.prefix)
    for wrong in ([], ["XX-YYY"], ["--revoke", "nothing"]):
        with pytest.raises(CommandError):
            told(*wrong)


def test_what_is_not_a_valid_key_is_told_what_is_wrong(cast):
    api = Api.of(cast.scsp, Use.FSP)
    other = "fxk_" + 12 * "0" + "_" + 43 * "A"
    with case("an OCPI token"):
        token = authorization(cast.scsp.platform.hub.sends)
        answer = api.send("GET", "fsp/sessions", authorization=token)
        assert refused(answer) == (401, "NOT_A_KEY")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    with case("none"):
        assert refused(api.send("GET", "fsp/sessions", authorization="")) == (401, "KEY_MISSING")
    with case("another one"):
        answer = api.send("GET", "fsp/sessions", authorization=f"Bearer {other}")
        assert refused(answer) == (401, "KEY_UNKNOWN")
    with case("a key as an OCPI token"):
        answer = requests.get(
            f"{cast.hub.url}/ocpi/versions", headers={"Authorization": f"Token {api.secret}"}
        )
        assert answer.status_code == 401
    with case("not for this"):
        assert refused(api.send("GET", "cpo/sites")) == (403, "KEY_NOT_FOR_THIS")
        assert refused(Api.of(cast.scsp).send("GET", "cpo/sites")) == (403, "ROLE_MISSING")
    with case("no such URL, no such method"):
        assert refused(api.send("GET", "fsp/nothing")) == (404, "NOT_FOUND")
        assert refused(api.send("DELETE", "fsp/sessions")) == (405, "METHOD_NOT_ALLOWED")


def test_an_emsp_mints_keys_for_its_drivers(cast):
    api = Api.of(cast.emsp)
    made = api.post("emsp/driver-keys", {"token_uid": "TOKEN-1", "hours": 2})
    driver = Api(cast.hub.url, made["key"])
    row = ApiKey.objects.get(prefix=made["id"])
    left = row.expires_at - timezone.now()
    assert timedelta(hours=1) < left <= timedelta(hours=2)
    with case("it opens nothing of the back-end's"):
        for path in ("emsp/driver-keys", "fsp/sessions", "cpo/sites"):
            assert driver.send("GET", path).status_code == 403
        assert refused(driver.send("GET", "emsp/driver-keys")) == (403, "KEY_OF_A_DRIVER")
    with case("it is listed without itself"):
        assert [(one["id"], "key" in one) for one in api.get("emsp/driver-keys")] == [
            (made["id"], False)
        ]
    with case("for at most so long"):
        wrong = api.send("POST", "emsp/driver-keys", {"token_uid": "T", "hours": 25})
        assert refused(wrong) == (400, "INVALID")
    with case("somebody else's"):
        stranger = Api.of(cast.other_emsp)
        answer = stranger.send("DELETE", f"emsp/driver-keys/{made['id']}")
        assert refused(answer) == (404, "NOT_FOUND")
    with case("ended by its eMSP"):
        assert api.send("DELETE", f"emsp/driver-keys/{made['id']}").status_code == 204
        assert refused(driver.send("GET", "emsp/driver-keys")) == (401, "KEY_REVOKED")
    with case("expired"):
        second = api.post("emsp/driver-keys", {"token_uid": "TOKEN-1"})
        ApiKey.objects.filter(prefix=second["id"]).update(expires_at=timezone.now())
        late = Api(cast.hub.url, second["key"])
        assert refused(late.send("GET", "emsp/driver-keys")) == (401, "KEY_EXPIRED")
    with case("with the key that minted it"):
        third = Api(cast.hub.url, api.post("emsp/driver-keys", {"token_uid": "T"})["key"])
        ApiKey.objects.filter(minted_by=None, name="a test").update(revoked_at=timezone.now())
        assert refused(third.send("GET", "emsp/driver-keys")) == (401, "KEY_REVOKED")


def test_the_keys_of_a_suspended_party_do_not_work(cast):
    mine = Actor(cast.hub, Role.SCSP)
    api = Api.of(mine, Use.FSP)
    api.get("fsp/sessions")
    onboarding.suspend(mine.party)
    assert wait_until_confirmed()
    until(lambda: api.send("GET", "fsp/sessions").status_code == 403)
    assert refused(api.send("GET", "fsp/sessions")) == (403, "PARTY_NOT_CONNECTED")


def test_another_spelling_of_the_header_is_the_same_key_and_no_other_allowance():
    spellings = (b"Bearer fxk_1", b"bearer  fxk_1", b" BEARER fxk_1 ", b"bEaReR\tfxk_1")
    assert len({_key_in(one) for one in spellings}) == 1
    assert _key_in(b"Bearer fxk_2") != _key_in(spellings[0])
    assert _key_in(b"") == _key_in(b"  ")


def test_who_asks_too_often_waits(cast):
    """The last one: no stranger of this address may try any more."""
    api = Api.of(cast.scsp, Use.FSP)
    with case("with a key"), changed_setting("FLEX_REQUESTS_PER_SECOND", 1):
        api.get("fsp/sessions")  # Its first request shows whose it is.
        found: list[requests.Response] = []

        def ask() -> None:
            found.append(api.send("GET", "fsp/sessions"))

        # However slow the machine is: of many at the same time one has to wait.
        until(lambda: _all(ask) and any(one.status_code == 429 for one in found))
        [slow, *_] = [one for one in found if one.status_code == 429]
        assert refused(slow) == (429, "TOO_MANY_REQUESTS")
        assert int(slow.headers["Retry-After"]) >= 1
    with case("without one"):
        found.clear()

        def try_() -> None:
            found.append(api.send("GET", "fsp/sessions", authorization="Bearer x"))

        until(lambda: _all(try_) and any(one.status_code == 429 for one in found))
        assert {one.status_code for one in found} == {401, 429}
        assert api.get("fsp/sessions")["sessions"] == []


def _all(ask, count: int = 8) -> bool:
    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return True
