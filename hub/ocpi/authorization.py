"""What is wrong with an Authorization header, in words (transport_and_format, authorization).

Told by the header's form alone, so that nobody learns from it whether a token exists; and nothing
of the header is repeated, so that no token comes into a log.
"""

import base64
from typing import Final

IF_LOST: Final = (
    "If the token is lost, ask the hub's operator for an end of the registration "
    "(manage.py end_registration) and a new invitation."
)
REPLACED: Final = (
    "This credentials token was replaced by another handshake of your platform while this request "
    f"was on its way: use the token of that one's answer. {IF_LOST}"
)
_FORM: Final = "write 'Authorization: Token <Base64 of the credentials token>'"
_UNKNOWN: Final = (
    "Nobody at this hub has this credentials token: mistyped, replaced by a later handshake, or "
    f"ended. {IF_LOST}"
)
# Schemes of other protocols; any other first word may be a secret itself.
_SCHEMES: Final = {"bearer": "Bearer", "basic": "Basic", "digest": "Digest", "apikey": "ApiKey"}
# Shorter ones are made by chance too often.
_SHORTEST: Final = 8


def why_refused(header: str) -> str:
    """What to tell the sender of a header that opens nothing."""
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    if not header.strip():
        return f"The Authorization header is missing: {_FORM}."
    if (known := _SCHEMES.get(scheme.lower())) is not None:
        return f"The Authorization header has the scheme '{known}', and OCPI has 'Token': {_FORM}."
    if scheme.lower() != "token":
        return f"The Authorization header does not begin with 'Token' and a blank: {_FORM}."
    if not value:
        return f"The Authorization header has nothing behind 'Token': {_FORM}."
    if value.lower().startswith("token="):
        return f"The credentials token follows 'Token' as it is, without 'token=': {_FORM}."
    if " " in value:
        return f"The Authorization header has more than one word behind 'Token': {_FORM}."
    once = _decoded(value)
    if once is not None and _decoded(once) is not None:
        return "The credentials token looks as if it were Base64-encoded twice: encode it once."
    if once is None and _decoded(value + "=" * (-len(value) % 4)) is not None:
        return "The credentials token looks like Base64 without the '=' at its end: add it."
    return _UNKNOWN


def _decoded(text: str) -> str | None:
    """The token that this is the Base64 of; None when it can be none."""
    try:
        found = base64.b64decode(text, validate=True).decode("ascii").rstrip("\r\n")
    except ValueError:
        return None
    if len(found) < _SHORTEST or not all("\x21" <= one <= "\x7e" for one in found):
        return None
    return found
