"""A security key in software: what a browser would answer with it (WebAuthn)."""

from hashlib import sha256
from secrets import token_bytes
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)


class SoftwareKey:
    """Counts how often it was used, as hardware does."""

    def __init__(self, origin: str = "http://testserver", rp_id: str = "testserver") -> None:
        self.origin = origin
        self.rp_id = rp_id
        self.counter = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._id = token_bytes(16)

    def make(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer navigator.credentials.create()."""
        public = ES256.from_cryptography_key(self._key.public_key())
        made = AttestedCredentialData.create(Aaguid(bytes(16)), self._id, public)
        data = self._data(made)
        told = self._client_data(CollectedClientData.TYPE.CREATE, options)
        attested = AttestationObject.create("none", data, {})
        return self._answer(clientDataJSON=told, attestationObject=attested)

    def use(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer navigator.credentials.get()."""
        told = self._client_data(CollectedClientData.TYPE.GET, options)
        data = self._data()
        signature = self._key.sign(data + sha256(told).digest(), ec.ECDSA(SHA256()))
        return self._answer(clientDataJSON=told, authenticatorData=data, signature=signature)

    def _data(self, made: AttestedCredentialData | None = None) -> AuthenticatorData:
        self.counter += 1
        flags = AuthenticatorData.FLAG.UP
        if made is not None:
            flags |= AuthenticatorData.FLAG.AT
        rp = sha256(self.rp_id.encode()).digest()
        return AuthenticatorData.create(rp, flags, self.counter, made or b"")

    def _client_data(self, kind: str, options: dict[str, Any]) -> CollectedClientData:
        challenge = websafe_decode(options["publicKey"]["challenge"])
        return CollectedClientData.create(kind, challenge, self.origin)

    def _answer(self, **response: bytes) -> dict[str, Any]:
        return {
            "id": websafe_encode(self._id),
            "rawId": websafe_encode(self._id),
            "type": "public-key",
            "response": {name: websafe_encode(value) for name, value in response.items()},
            "clientExtensionResults": {},
        }
