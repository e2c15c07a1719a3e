"""Test objects that are pushed to a party, clearly marked; only with `push`."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hub.ocpi.datatypes import InterfaceRole, as_document, ocpi_now
from party.check.findings import Finding, Rule
from party.check.probe import Probe, below

NAME = "Flexhub conformance check, not real"
KEPT = Rule(
    "push.kept",
    "transport_and_format, Client Owned Object Push",
    "An object that was PUT is given back by GET",
    "Keep the object under {country_code}/{party_id}/{id} of its owner and serve it there by GET.",
)
CASE = Rule(
    "push.case",
    "types, CiString",
    "An object that was PUT is found without regard to case",
    "Compare country_code, party_id and the object's id without case.",
)
PATCH = Rule(
    "push.patch",
    "transport_and_format, PATCH; status_codes 2001",
    "PATCH without last_updated: 2001",
    "Refuse a PATCH that has no last_updated with status_code 2001.",
)
DELETED = Rule(
    "push.deleted",
    "mod_tariffs, DELETE Method",
    "A Tariff that was DELETEd is gone",
    "Answer GET with HTTP 404 after DELETE.",
)
RULES = (KEPT, CASE, PATCH, DELETED)
RECEIVER = InterfaceRole.RECEIVER


def check(probe: Probe) -> Iterator[Finding]:
    """A Token that is not valid for a CPO; a Tariff that ends deleted for an eMSP."""
    if not probe.push:
        for rule in RULES:
            yield rule.not_tried("pushes test objects: only with --push")
        return
    offered = [
        (module, url)
        for module in ("tokens", "tariffs")
        if (url := probe.endpoint(module, RECEIVER)) is not None
    ]
    for module, url in offered:
        yield from _check_push(probe, module, url)


def _check_push(probe: Probe, module: str, endpoint: str) -> Iterator[Finding]:
    owner = (probe.sender.country_code, probe.sender.party_id)
    url = below(endpoint, *owner, probe.mark)
    document = _token(probe) if module == "tokens" else _tariff(probe)
    put = probe.call("PUT", url, module, body=as_document(document))
    if not put.is_success:
        # A party need not take objects of a hub: "it is allowed to respond with an HTTP 404".
        for rule in (KEPT, CASE):
            yield rule.not_tried(f"the test object was refused: {put.said}", module)
        return
    name = "uid" if module == "tokens" else "id"
    got = probe.call("GET", url, module, is_single=True, note="after PUT")
    data = got.data[0] if isinstance(got.data, list) and got.data else got.data
    is_it = got.is_success and isinstance(data, dict) and data.get(name) == probe.mark
    yield KEPT.judge(is_it, got, subject=module)
    lower = below(endpoint, *(part.lower() for part in (*owner, probe.mark)))
    other = probe.call("GET", lower, module, is_single=True, note="in lower case")
    yield CASE.judge(other.is_success, other, subject=module)
    if module == "tokens":
        patch = probe.call(
            "PATCH", url, module, body=b'{"visual_number":"1"}', note="without last_updated"
        )
        yield PATCH.judge(patch.status_code == 2001, patch, subject=module)
        return
    probe.call("DELETE", url, module)
    gone = probe.call("GET", url, module, is_single=True, note="after DELETE")
    yield DELETED.judge(gone.status == 404, gone, subject=module)


def _token(probe: Probe) -> dict[str, Any]:
    return {
        "country_code": probe.sender.country_code,
        "party_id": probe.sender.party_id,
        "uid": probe.mark,
        "type": "RFID",
        "contract_id": probe.mark,
        "issuer": NAME,
        "valid": False,
        "whitelist": "NEVER",
        "last_updated": ocpi_now(),
    }


def _tariff(probe: Probe) -> dict[str, Any]:
    component = {"type": "ENERGY", "price": Decimal("0.01"), "step_size": 1}
    return {
        "country_code": probe.sender.country_code,
        "party_id": probe.sender.party_id,
        "id": probe.mark,
        "currency": "EUR",
        "tariff_alt_text": [{"language": "en", "text": NAME}],
        "elements": [{"price_components": [component]}],
        "last_updated": ocpi_now(),
    }
