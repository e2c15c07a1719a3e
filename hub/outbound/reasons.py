"""Why a call came to nothing, in words for people (RFC 9112, RFC 8446).

Two readers: the operator gets the real reason (log, message record, console). A party is told of a
URL that it may have chosen no more than it could find out without the hub: docs/decisions/0019.
"""

import os
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from hub.outbound import addresses
from hub.outbound.http_client import AnswersInTls, BrokenAnswer, NotConnected

NOTHING_THERE: Final = (
    "nothing answers there as the URL says (a closed port, a filtered one, another service, or "
    "plain http where the URL says https)"
)
# OpenSSL's numbers of what is wrong with a certificate (x509_vfy.h).
_CERTIFICATE: Final = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "is of a self-signed authority that this hub does not trust",
    20: "is of an authority that this hub does not know, or lacks its intermediate one",
    21: "comes without the intermediate certificate that signed it",
    23: "was revoked",
    62: "is for another name",
    64: "is for another address",
}
# OpenSSL's names of what went wrong in a handshake.
_HANDSHAKE: Final = {
    **dict.fromkeys(
        ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"),
        "it does not speak TLS on this port (plain http?)",
    ),
    **dict.fromkeys(
        ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "VERSION_TOO_LOW"),
        "it has no TLS version that this hub takes (1.2 or later)",
    ),
    **dict.fromkeys(
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE"),
        "it asks for a client's TLS certificate, and the hub has none",
    ),
    **dict.fromkeys(
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "NO_CIPHERS_AVAILABLE", "NO_SHARED_CIPHER"),
        "it has no TLS cipher in common with this hub, or asks for a client's certificate",
    ),
    "TLSV1_UNRECOGNIZED_NAME": "its TLS server does not know this name",
    "UNEXPECTED_EOF_WHILE_READING": "it hung up in the middle of the TLS handshake",
}


def reason(error: BaseException) -> str:
    """What is really wrong, without Python's names; of a chain of errors the innermost counts."""
    text = ""
    seen: BaseException | None = error
    while seen is not None:
        text = _words(seen) or text
        seen = seen.__cause__ or seen.__context__
    return text or "the connection broke"


def told(error: BaseException) -> str:
    """What a party may know of a URL at whose host and port nobody has spoken OCPI yet.

    That its name is none, or is in a private network; what is wrong with a certificate, which only
    a TLS server has; and, of an address that is anybody's to call, that no TLS is spoken there. All
    else is one and the same: a closed port, a filtered one, and another service.
    """
    address = ""
    seen: BaseException | None = error
    while seen is not None:
        address = getattr(seen, "address", "") or address
        if isinstance(seen, addresses.ForbiddenAddress | socket.gaierror):
            return _words(seen)
        if isinstance(seen, ssl.SSLCertVerificationError):
            return _words(seen)
        if isinstance(seen, ssl.SSLError) and address and addresses.is_public(address):
            return _words(seen)
        seen = seen.__cause__ or seen.__context__
    return NOTHING_THERE


def is_same_origin(url: str, other: str) -> bool:
    """Whether two URLs lead to the same scheme, host and port."""
    return _origin(url) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _words(error: BaseException) -> str:
    if isinstance(error, addresses.ForbiddenAddress | NotConnected | AnswersInTls):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        said = _CERTIFICATE.get(error.verify_code)
        return f"its TLS certificate {said or f'is refused: {error.verify_message}'}"
    if isinstance(error, ssl.SSLError):
        name = error.reason or "TLS failed"
        return _HANDSHAKE.get(name) or f"TLS: {name.replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return (error.strerror or "the name does not resolve").lower()
    if isinstance(error, BrokenAnswer):
        return f"what it answers is not HTTP ({error})"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return "it hung up without an answer" if isinstance(error, ConnectionError) else ""
