"""Numbers that no computer holds, depths and lengths that no reader expects, wherever they stand.

Each value is JSON, so whatever is not judged by the hub is passed on; the hub fails at none of it.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from hub.ocpi.datatypes import Role
from tests.flows.fuzzing import Request, valid
from tests.flows.test_fuzz import Wire
from tests.hub.strangers import Stranger, token_of
from tests.running_hub import new_party

pytestmark = pytest.mark.long
MARK = "@@@"
ABSURD = {
    "huge-exponent": b"1E99999999999999999999",
    "tiny-exponent": b"-1E-99999999999999999999",
    "long-exponent": b"1e" + b"9" * 5000,
    "many-digits": b"1" * 5000,
    "very-many-digits": b"9" * 200_000,
    "many-decimals": b"0." + b"3" * 100_000,
    "long-text": b'"' + b"x" * 200_000 + b'"',
    "escapes": b'"' + rb"\u0061" * 20_000 + b'"',
    "deep-lists": b"[" * 900 + b"]" * 900,
    "deep-objects": b'{"a":' * 900 + b"1" + b"}" * 900,
    "many-fields": b"{" + b",".join(b'"a%d":1' % number for number in range(20_000)) + b"}",
    "one-field-often": b"{" + b",".join([b'"uid":"x"'] * 20_000) + b"}",
    "long-list": b"[" + b",".join([b"1"] * 50_000) + b"]",
}


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Where each value stands: (container, key)."""
    keys = list(document) if isinstance(document, dict) else range(len(document))
    for key in keys:
        yield document, key
        if isinstance(document[key], dict | list):
            yield from places(document[key])


def with_absurd(request: Request, absurd: bytes) -> Iterator[Request]:
    """The request with the value in each place, one after another, and in a field of no name."""
    document = json.loads(request.body)
    document["unknown"] = None
    for container, key in places(document):
        before, container[key] = container[key], MARK
        body = json.dumps(document).encode()
        container[key] = before
        spoiled = body.replace(json.dumps(MARK).encode(), absurd)
        yield Request(request.method, request.target, request.headers, spoiled)


@pytest.mark.parametrize("kind", ABSURD)
def test_the_hub_fails_at_no_value(hub, caplog, kind):
    cpo, emsp = new_party("NL"), new_party("DE")
    party = hub.join(Stranger(Role.CPO, party=cpo, more=[(emsp, Role.EMSP)]), invite_as=cpo)
    callback = quote(f"{party.simulator.url}/result", safe="")
    url = urlsplit(hub.url)
    wire = Wire((str(url.hostname), url.port or 80))
    seen: Counter[int] = Counter()
    try:
        for request in valid(cpo, emsp, token_of(party), callback):
            wire.send(request)
            if not request.body.startswith(b"{"):
                continue
            for spoiled in with_absurd(request, ABSURD[kind]):
                status = wire.send(spoiled)
                assert 200 <= status < 500, (status, request.method, request.target)
                seen[status] += 1
    finally:
        wire.close()
    assert seen[200] > 100, seen
    assert not [record for record in caplog.records if record.exc_info]
