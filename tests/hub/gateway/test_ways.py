"""What is remembered of the way of a message hides nothing of the next one (gateway/ways.py)."""

import pytest

from hub.ocpi import headers
from tests.hub.strangers import CUSTOM, ask


def _session(party) -> bytes:
    named = f'{{"country_code":"{party.country_code}","party_id":"{party.party_id}","id":"S1"}}'
    return named.encode()


@pytest.fixture
def path(hub, cpo, emsp) -> str:
    """Of an object that the CPO has told the eMSP of: its way is known."""
    own = f"receiver/sessions/{'/'.join(cpo.simulator.party)}/S1"
    body = _session(cpo.simulator.party)
    assert ask(hub, cpo, "PATCH", own, to=emsp, body=body).said == (200, 1000)
    emsp.simulator.got.clear()
    return own


def test_another_ones_object_is_refused_by_its_url(hub, cpo, emsp, path):
    other = f"receiver/sessions/{'/'.join(emsp.simulator.party)}/S1"
    assert ask(hub, cpo, "PATCH", other, to=emsp, body=b"{}").code == 2001
    assert not emsp.simulator.got


def test_another_ones_object_is_refused_by_its_body(hub, cpo, emsp, path):
    body = _session(emsp.simulator.party)
    assert ask(hub, cpo, "PATCH", path, to=emsp, body=body).code == 2001
    assert not emsp.simulator.got


def test_each_spelling_arrives_as_it_was_sent(hub, cpo, emsp):
    party = cpo.simulator.party
    for code, party_id in ((party.country_code, party.party_id.lower()), party, party):
        spelled = {headers.FROM_COUNTRY_CODE: code, headers.FROM_PARTY_ID: party_id}
        answer = ask(hub, cpo, "GET", f"sender/{CUSTOM}", to=emsp, headers=spelled)
        assert answer.said == (200, 1000)
        sent = emsp.simulator.got[-1].headers
        assert (sent["OCPI-from-country-code"], sent["OCPI-from-party-id"]) == (code, party_id)
        assert answer.headers["ocpi-to-party-id"] == party.party_id


def test_another_module_is_on_a_way_of_its_own(hub, cpo, emsp, path):
    assert ask(hub, cpo, "GET", f"sender/{CUSTOM}/1", to=emsp).code == 1000
    assert ask(hub, cpo, "GET", f"receiver/{CUSTOM}/1", to=emsp).code == 1000
    assert [message.interface for message in emsp.simulator.got] == ["sender", "receiver"]
