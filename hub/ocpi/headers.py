"""HTTP headers of OCPI: authorization, message ids, routing (transport_and_format)."""

import base64
import random
from typing import Final

TO_PARTY_ID: Final = "OCPI-to-party-id"
TO_COUNTRY_CODE: Final = "OCPI-to-country-code"
FROM_PARTY_ID: Final = "OCPI-from-party-id"
FROM_COUNTRY_CODE: Final = "OCPI-from-country-code"
REQUEST_ID: Final = "X-Request-ID"
CORRELATION_ID: Final = "X-Correlation-ID"
# This hub's own, on a Session that is given to a flexibility provider: the eMSP did not answer it.
UNANSWERED_BY: Final = "X-Flexhub-Unanswered-By"
TOTAL_COUNT: Final = "X-Total-Count"
LIMIT: Final = "X-Limit"
ROUTING: Final = (TO_PARTY_ID, TO_COUNTRY_CODE, FROM_PARTY_ID, FROM_COUNTRY_CODE)


def routing(sender: tuple[str, str], receiver: tuple[str, str] | None) -> dict[str, str]:
    """FROM and TO, each a country_code and a party_id; without a receiver there is no TO."""
    sent = {FROM_COUNTRY_CODE: sender[0], FROM_PARTY_ID: sender[1]}
    if receiver is not None:
        sent |= {TO_COUNTRY_CODE: receiver[0], TO_PARTY_ID: receiver[1]}
    return sent


def new_id() -> str:
    """A new X-Request-ID or X-Correlation-ID: "It is advised to used GUID/UUID as values".

    It has to be unique, not secret, so it asks no system call for its bits.
    """
    bits = f"{random.getrandbits(128):032x}"
    return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"


def authorization(credentials_token: str, *, base64_encoded: bool = True) -> str:
    """The Authorization header: Base64 as the text asks, plain for older implementations."""
    if base64_encoded:
        credentials_token = base64.b64encode(credentials_token.encode()).decode("ascii")
    return f"Token {credentials_token}"


def presented_tokens(authorization_header: str) -> list[tuple[str, bool]]:
    """The tokens that a header may mean, as (token, was it Base64): decoded first, then as sent.

    "Many OCPI 2.1.1 and 2.2 implementations do not Base64 encode" (transport_and_format, NOTE).
    """
    scheme, _, value = authorization_header.partition(" ")
    value = value.strip()
    if scheme.lower() != "token" or not value:
        return []
    presented = []
    try:
        # A trailing newline is in the specification's own example of an encoded token.
        decoded = base64.b64decode(value, validate=True).decode("utf-8").rstrip("\r\n")
        presented.append((decoded, True))
    except ValueError:
        pass  # Not Base64: then it can only be the plain form.
    presented.append((value, False))
    return presented
