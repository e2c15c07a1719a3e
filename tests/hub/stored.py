"""Stored objects as parties push them: a Token of a driver of DE-MSP, and the CDR of a charge."""

from pathlib import Path

import msgspec

from cdrs.models import Cdr, identity
from hub.ocpi.party import PartyId
from hub.outbound.platform_calls import Response
from tests.hub.console.rows import CONTRACT_ID, TOKEN_UID
from tokens.models import Token

OCPI = Path(__file__).parent.parent / "data" / "ocpi"
CPO, EMSP = PartyId("NL", "CPO"), PartyId("DE", "MSP")
MOMENT = "2026-01-01T00:00:00Z"
TAKEN = b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}'


def bearer(uid: str = TOKEN_UID, contract_id: str = CONTRACT_ID, kind: str = "RFID") -> dict:
    """A CdrToken."""
    return {
        "country_code": "DE",
        "party_id": "MSP",
        "uid": uid,
        "type": kind,
        "contract_id": contract_id,
    }


def token(
    uid: str = TOKEN_UID, audience: str = "", owner: PartyId = EMSP, **changes: object
) -> Token:
    """A Token as the hub keeps it."""
    document = {
        **bearer(uid),
        "country_code": owner.country_code,
        "party_id": owner.party_id,
        "issuer": "MSP",
        "valid": True,
        "whitelist": "ALLOWED",
        "last_updated": MOMENT,
        **changes,
    }
    return Token.objects.create(
        owner=str(owner),
        object_id=uid.upper(),
        type=str(document["type"]),
        audience=audience,
        last_updated=MOMENT,
        document=msgspec.json.encode(document),
    )


def cdr(cdr_id: str, of: dict | None = None, answer: bytes = TAKEN, **changes: object) -> Cdr:
    """The specification's example of a CDR, of this driver."""
    document = msgspec.json.decode((OCPI / "cdr_example.json").read_bytes())
    document |= {"country_code": "NL", "party_id": "CPO", "id": cdr_id}
    document |= {"cdr_token": of or bearer(), **changes}
    Cdr.taken(CPO, EMSP, msgspec.json.encode(document), Response(201, {}, answer))
    return Cdr.named(identity(CPO, cdr_id)).get()
