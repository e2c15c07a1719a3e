"""credentials: registration, rotation and end, with the simulators on both sides."""

import pytest

from hub.ocpi.party import PartyId
from party.registration import RegistrationFailed
from simulators.cpo import Cpo
from simulators.emsp import Emsp
from simulators.testing import Running


def test_a_handshake_connects_both_sides(cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    token_a = cpo.simulator.invite()
    connection = emsp.register(cpo.versions_url, token_a)

    assert connection.parties == {PartyId("NL", "CPO")}
    (theirs,) = cpo.simulator.connections
    assert theirs.parties == {PartyId("DE", "MSP")}
    assert len({token_a, connection.sends, connection.accepts}) == 3
    assert cpo.call("cdrs", "RECEIVER", "GET", "1").http_status == 404
    assert emsp.call("locations", "SENDER", "GET").status_code == 1000
    # The receiver has fetched our versions with the token that was sent to it.
    assert [message.parts for message in emsp.received(module="versions")] == [(), ("2.2.1",)]


def test_credentials_token_a_is_dead_after_the_handshake(
    cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    token_a = cpo.simulator.invite()
    connection = emsp.register(cpo.versions_url, token_a)
    connection.sends = token_a
    assert emsp.call("credentials", "SENDER", "GET").http_status == 401


def test_credentials_token_a_opens_no_other_module(cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    token_a = cpo.simulator.invite()
    connection = emsp.register(cpo.versions_url, cpo.simulator.invite())
    connection.sends = token_a
    refused = emsp.call("locations", "SENDER", "GET")
    assert (refused.http_status, refused.status_code) == (401, 2000)


def test_a_plain_token_is_answered_in_plain(cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    emsp.register(cpo.versions_url, cpo.simulator.invite(), base64_encoded=False)
    (message, _) = emsp.received(module="versions")
    assert message.headers["Authorization"] == f"Token {emsp.simulator.connections[0].accepts}"


def test_post_is_refused_when_registered(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    ours = emsp.simulator.credentials("a-new-token")
    assert emsp.call("credentials", "SENDER", "POST", body=ours).http_status == 405


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_put_and_delete_are_refused_when_not_registered(
    cpo: Running[Cpo], emsp: Running[Emsp], method: str
) -> None:
    connection = emsp.register(cpo.versions_url, cpo.simulator.invite())
    connection.sends = cpo.simulator.invite()
    ours = emsp.simulator.credentials("a-new-token")
    assert emsp.call("credentials", "SENDER", method, body=ours).http_status == 405


def test_put_changes_both_tokens(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    (ours,), (theirs,) = emsp.simulator.connections, cpo.simulator.connections
    before = (ours.sends, ours.accepts)
    emsp.update_credentials()
    assert (ours.sends, ours.accepts) == (theirs.accepts, theirs.sends)
    assert not {ours.sends, ours.accepts} & set(before)
    assert cpo.call("cdrs", "RECEIVER", "GET", "1").http_status == 404

    ours.sends = before[0]
    assert emsp.call("locations", "SENDER", "GET").http_status == 401


def test_delete_ends_the_connection(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    (connection,) = emsp.simulator.connections
    assert emsp.unregister().is_success
    assert emsp.simulator.connections == cpo.simulator.connections == []
    again = emsp.call("credentials", "SENDER", "GET", connection=connection)
    assert again.http_status == 401


def test_a_failed_handshake_leaves_everything_as_it_was(
    cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    token_a = cpo.simulator.invite()
    emsp.set_faults(module="versions", http_500=True)
    with pytest.raises(RegistrationFailed) as failed:
        emsp.register(cpo.versions_url, token_a)
    assert failed.value.answer is not None
    assert failed.value.answer.status_code == 3001
    assert emsp.simulator.by_token == cpo.simulator.by_token == {}
    assert emsp.simulator.connections == cpo.simulator.connections == []

    emsp.clear_faults()
    assert emsp.register(cpo.versions_url, token_a).sends != token_a
