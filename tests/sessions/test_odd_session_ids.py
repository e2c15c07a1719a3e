"""Session ids that the hub does not know and that may lead to another URL of the CPO's."""

from urllib.parse import quote

import pytest

from hub.ocpi.modules import leads_astray
from tests.scripted import Cast, code

ODD = ["A;b", "A?b=c", "A#b", "A%2Fb", "A/b", "A\\b", "100%", " A", "A ", "A\t", "A\n"]
PLAIN = ["A b", "A:b@c=d,e", "a'(b)!*", "€", "A+B&C", "x.y~z"]
WISHES = {"profile_type": "FAST"}


@pytest.mark.parametrize("session_id", ODD)
def test_such_ids_may_be_read_as_another_url(session_id):
    assert leads_astray(session_id)


@pytest.mark.parametrize("session_id", PLAIN)
def test_all_else_is_an_id(session_id):
    assert not leads_astray(session_id)


@pytest.mark.parametrize("session_id", ODD)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_profiles_of_such_an_id_are_of_an_unknown_session(cast: Cast, method, session_id):
    for to in (cast.cpo, cast.emsp, None):
        answer = cast.other_emsp.command(method, quote(session_id, safe=""), to=to)
        assert (answer.status_code, code(answer)) == (200, 1000)
        assert answer.json()["data"]["result"] == "UNKNOWN_SESSION"
    assert not cast.cpo.got(session_id)


@pytest.mark.parametrize("session_id", ODD)
def test_preferences_of_such_an_id_are_404(cast: Cast, session_id):
    path = f"sender/sessions/{quote(session_id, safe='')}/charging_preferences"
    answer = cast.emsp.send("PUT", path, WISHES, to=cast.cpo)
    assert (answer.status_code, code(answer)) == (404, 2000)
    assert not cast.cpo.got(session_id)


@pytest.mark.parametrize("session_id", ODD)
def test_an_active_profile_of_such_an_id_goes_nowhere(cast: Cast, session_id):
    path = f"sender/chargingprofiles/{quote(session_id, safe='')}"
    answer = cast.cpo.send("PUT", path, {}, to=cast.scsp)
    assert (answer.status_code, code(answer)) == (404, 2000)
    assert not cast.scsp.got(session_id)


@pytest.mark.parametrize("session_id", PLAIN)
def test_other_unknown_ids_are_the_cpos_to_judge(cast: Cast, session_id):
    encoded = quote(session_id, safe="")
    answer = cast.emsp.put_profile(encoded, to=cast.cpo)
    assert answer.json()["data"]["result"] == "ACCEPTED"
    path = f"sender/sessions/{encoded}/charging_preferences"
    assert cast.emsp.send("PUT", path, WISHES, to=cast.cpo).json()["data"] == "ACCEPTED"


@pytest.mark.parametrize("session_id", [one for one in ODD if one == one.strip()])
def test_those_that_the_hub_knows_pass(cast: Cast, session_id):
    encoded = quote(session_id, safe="")
    document = cast.cpo.session(session_id, cast.emsp)
    put = cast.cpo.send("PUT", cast.cpo.session_path(encoded), document, to=cast.emsp)
    assert code(put) == 1000
    for to in (cast.cpo, None):
        answer = cast.emsp.put_profile(encoded, to=to)
        assert answer.json()["data"]["result"] == "ACCEPTED"
        path = f"sender/sessions/{encoded}/charging_preferences"
        assert cast.emsp.send("PUT", path, WISHES, to=to).json()["data"] == "ACCEPTED"
    asked = cast.cpo.running.received(module="chargingprofiles")
    assert asked[-1].path.endswith(f"/{encoded}")
