"""Credentials tokens at rest: hashes of those the hub gave out, ciphertext of those it sends."""

import base64
import hashlib
import hmac
from functools import cache
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

_WRONG: Final = (
    "A stored credentials token cannot be decrypted: ENCRYPTION_KEY (or secret.key in "
    "FLEXHUB_DATA) is not the one it was stored with."
)


class WrongKey(RuntimeError):
    """ENCRYPTION_KEY is not the one that a stored credentials token was encrypted with."""


def token_hash(credentials_token: str) -> bytes:
    """What is kept of a token that others present; tokens are random, so no salt is needed."""
    return hashlib.sha256(credentials_token.encode()).digest()


def keyed_hash(text: str, purpose: str) -> str:
    """64 hexadecimal digits that only the holder of the key can make of the text, for one purpose.

    A token's uid has too few values for a hash without a key: trying all of them is quick.
    """
    key = hmac.digest(settings.ENCRYPTION_KEY.encode(), purpose.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


@cache
def _box(key: str) -> Fernet:
    derived = hmac.digest(key.encode(), b"flexhub credentials tokens", "sha256")
    return Fernet(base64.urlsafe_b64encode(derived))


@cache
def _boxes(*keys: str) -> MultiFernet:
    return MultiFernet([_box(key) for key in keys])


def _all_boxes() -> MultiFernet:
    """Writes with the key, reads also what former keys have written (manage.py rotate_keys)."""
    return _boxes(settings.ENCRYPTION_KEY, *settings.FORMER_ENCRYPTION_KEYS)


def encrypt(credentials_token: str) -> bytes:
    """Ciphertext for the database; the key is in the environment or in FLEXHUB_DATA."""
    return _box(settings.ENCRYPTION_KEY).encrypt(credentials_token.encode())


def renewed(ciphertext: bytes) -> bytes:
    """The same under the key of now; WrongKey when no key opens it."""
    try:
        return _all_boxes().rotate(ciphertext)
    except InvalidToken as error:
        raise WrongKey(_WRONG) from error


def decrypt(ciphertext: bytes) -> str:
    """The token again; empty stays empty; WrongKey tells what the operator has to restore."""
    if not ciphertext:
        return ""
    try:
        return _all_boxes().decrypt(ciphertext).decode()
    except InvalidToken as error:
        raise WrongKey(_WRONG) from error


def fingerprint(key: str) -> str:
    """A fingerprint by which two keys can be compared without showing them."""
    return hmac.digest(key.encode(), b"flexhub key fingerprint", "sha256").hex()[:16]


def opens(key: str, ciphertext: bytes) -> bool:
    """Whether it was encrypted with this key."""
    try:
        _box(key).decrypt(ciphertext)
    except InvalidToken:
        return False
    return True
