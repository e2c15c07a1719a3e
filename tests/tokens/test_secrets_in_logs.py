"""No Token uid, contract id or credentials token in any log line, over all flows."""

import logging

import pytest
from django.db import connection

from hub.models import StaleCopy
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from stack.serve import WEB
from tests.hub.strangers import Stranger, ask, raw, send, token_of, until
from tests.minimal import as_json, cdr, owned, session, token

HUB = PartyId("NL", "HUB")
UID, CONTRACT = "04A2B3C4D5E680", "DE-MSP-C12345678-X"
LOCATION = {"location_id": "LOC1"}


@pytest.fixture
def lines(caplog):
    """Everything that any logger says, of the hub's own process and its worker."""
    caplog.set_level(logging.DEBUG)
    return caplog


def mine(lines) -> list[str]:
    """What the hub says; simulators have a log of their own, and web processes no access log."""
    assert "--no-access-log" in WEB
    return [
        logging.Formatter("%(name)s %(message)s").format(record)
        for record in lines.records
        if not record.name.startswith(("asyncio", "simulators", "uvicorn.access"))
    ]


def document(emsp, **more) -> dict:
    return token(emsp.simulator.party, UID, contract_id=CONTRACT) | more


def test_no_line_tells_a_uid_or_a_contract(hub, cpo, emsp, lines):
    party, away = emsp.simulator.party, hub.join(Stranger(Role.CPO, listens=False))
    of_driver = {"cdr_token": document(emsp)}
    path = f"receiver/tokens/{owned(party, UID)}"
    told = f"no Token {UID} of {CONTRACT} here".encode()
    refusal = b'{"status_code":2004,"status_message":"%s","timestamp":"T"}' % told
    cpo.simulator.says = lambda message: raw(refusal)
    emsp.simulator.says = lambda message: raw(refusal, 404)
    away.set_faults(gone=True)
    later = {"last_updated": "2026-01-02T00:00:00Z"}
    tokens = [
        ("PUT", path, document(emsp)),
        ("PATCH", path, {"contract_id": CONTRACT} | later),
        ("PUT", path, document(emsp, uid=f"{UID}X")),
        ("PUT", f"{path}?type=APP_USER", document(emsp)),
        ("PATCH", f"{path}0", {"contract_id": CONTRACT} | later),
        ("POST", path, {}),
    ]
    for method, url, body in tokens:
        for to in (HUB, None, cpo, away):
            ask(hub, emsp, method, url, to=to, body=as_json(body))
    # Taken by its receiver, but not to be kept.
    cpo.simulator.says = Stranger.says_yes
    for body in (document(emsp, uid=f"{UID}X"), document(emsp, type="CARD")):
        ask(hub, emsp, "PUT", path, to=cpo, body=as_json(body))
    for asking, url in ((emsp, path), (cpo, path), (cpo, f"{path}1"), (emsp, f"{path}/x/y")):
        ask(hub, asking, "GET", url)
    for url in (f"sender/tokens/{UID}/authorize", f"sender/tokens/{UID}9/authorize"):
        for query in ("", "?type=rfid", "?type=CARD"):
            for to in (None, emsp, HUB):
                ask(hub, cpo, "POST", url + query, to=to, body=as_json(LOCATION))
    for wrong in (f"sender/tokens/{UID}/authorise", f"sender/tokens/{UID}", f"tokens/{UID}"):
        ask(hub, cpo, "GET", wrong)
    send(hub, "GET", f"/ocpi/2.2.1/{path}", "nobody")
    own = cpo.simulator.party
    start = {"token": document(emsp), "location_id": "L", "response_url": "http://127.0.0.1:9/x"}
    for to in (cpo, None):
        ask(hub, emsp, "POST", "receiver/commands/START_SESSION", to=to, body=as_json(start))
        body = as_json(cdr(own, party, f"LOG-{to and 1}") | of_driver)
        for answers in (refusal, b'{"status_code":1000,"timestamp":"T"}'):
            emsp.simulator.says = lambda message, said=answers: raw(said)
            ask(hub, cpo, "POST", "receiver/cdrs", to=to and emsp, body=body)
        changed = as_json(cdr(own, party, f"LOG-{to and 1}", total_time=9) | of_driver)
        ask(hub, cpo, "POST", "receiver/cdrs", to=to and emsp, body=changed)
        for more in ({}, {"status": "NONE"}):
            body = as_json(session(own, party, "LOG", **more) | of_driver)
            url = f"receiver/sessions/{owned(own, 'LOG')}"
            ask(hub, cpo, "PUT", url, to=to and emsp, body=body)
    # One that is gone is tried again for seconds before it is given up.
    waiting = StaleCopy.objects.filter(module="tokens", state="WAITING")
    until(lambda: not waiting.exists())
    said = mine(lines)
    assert any("PUT tokens from" in line for line in said)
    assert any(line.startswith("hub.delivery") for line in said)
    secrets = (UID.lower(), CONTRACT.lower(), *(token_of(r).lower() for r in (cpo, emsp, away)))
    for line in said:
        for secret in secrets:
            assert secret not in line.lower(), line
    for told_to_the_operator in StaleCopy.objects.values_list("outcome", flat=True):
        assert UID not in told_to_the_operator
        assert CONTRACT not in told_to_the_operator


def test_an_unexpected_error_tells_none_either(hub, emsp, lines):
    """Here: a database that does not know the table."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ocpi_tokens_token RENAME TO gone_for_a_moment")
    try:
        path = f"receiver/tokens/{owned(emsp.simulator.party, UID)}"
        answer = ask(hub, emsp, "PUT", path, to=HUB, body=as_json(document(emsp)))
        assert answer.said == (500, 3000)
        assert ask(hub, emsp, "GET", path).said == (500, 3000)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone_for_a_moment RENAME TO ocpi_tokens_token")
    assert any("unexpected error" in line for line in mine(lines))
    for line in mine(lines):
        assert UID not in line.partition("Traceback")[0]
