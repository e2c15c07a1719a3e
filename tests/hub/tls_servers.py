"""Real TLS servers with certificates that are right, or wrong in one way (RFC 5280)."""

import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hub.outbound import http_client
from tests.hub.raw_servers import ANSWER, Serve, server


@dataclass(frozen=True)
class Identity:
    """A private key with its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """Both, for a server."""
        return self.certificate_pem + self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def certificate_pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def identity(
    issuer: Identity | None = None,
    *,
    host: str = "localhost",
    days: tuple[int, int] = (-30, 30),
    is_authority: bool = False,
) -> Identity:
    """A certificate for `host`, valid between these days from now; without issuer self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    try:
        name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    return Identity(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))


def authority(name: str = "Authority") -> Identity:
    """One that signs certificates of others."""
    return identity(host=name, is_authority=True)


@contextmanager
def trusted(one: Identity, folder: Path) -> Iterator[None]:
    """Let the hub trust this authority alone within the block, as an operator would."""
    file = folder / f"{one.certificate.serial_number}.crt"
    file.write_bytes(one.certificate_pem)
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(file)
    http_client.tls.cache_clear()
    try:
        yield
    finally:
        del os.environ["SSL_CERT_FILE"]
        if before is not None:
            os.environ["SSL_CERT_FILE"] = before
        http_client.tls.cache_clear()


@contextmanager
def tls_server(
    one: Identity,
    folder: Path,
    serve: Serve | None = None,
    *,
    asks_client: bool = False,
    change: Callable[[ssl.SSLContext], None] = lambda _: None,
) -> Iterator[str]:
    """`server` behind TLS; yields its URL, which names localhost."""
    pem = folder / f"{one.certificate.serial_number}.pem"
    pem.write_bytes(one.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    if asks_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pem)
    change(context)

    def speak(connection: socket.socket) -> None:
        with context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        ) as inside:
            try:
                inside.do_handshake()
                inside.recv(65536)
                inside.sendall(ANSWER) if serve is None else serve(inside)
            except ssl.SSLError:
                # With something unread a close would overtake the alert that tells why.
                os.read(inside.fileno(), 65536)

    with server(speak, hears=False) as url:
        yield url.replace("http://127.0.0.1", "https://localhost")
