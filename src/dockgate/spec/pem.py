"""PEM: certificates and keys out of text, judged, and put together as HAProxy reads them. Pure.

The key passes through ``bundle`` and is not kept. Invariant: no message holds any of a file's content; equal files give
equal bytes, and those have no empty line, which would end them on HAProxy's runtime socket.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID

from dockgate.errors import DockgateError

MOST_BYTES = 15_000
"""What HAProxy takes on its runtime socket at once is 16 kB."""

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


class BadPem(DockgateError):
    """Text that is no certificate or no key that goes with it."""


@dataclass(frozen=True)
class Bundle:
    """``content``: the certificate, its chain, its key. It prints without them."""

    content: bytes = field(repr=False)
    chain: tuple[x509.Certificate, ...] = field(repr=False)

    @property
    def first(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def fingerprint(self) -> str:
        return self.first.fingerprint(hashes.SHA256()).hex()

    @property
    def names(self) -> tuple[str, ...]:
        """DNS names and addresses, sorted; a certificate without them is for nobody (browsers ignore its subject)."""
        try:
            alternative = self.first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (x509.ExtensionNotFound, ValueError):
            return ()
        names = alternative.get_values_for_type(x509.DNSName)
        return tuple(sorted({*names, *map(str, alternative.get_values_for_type(x509.IPAddress))}))

    @property
    def begins(self) -> float:
        return max(each.not_valid_before_utc.timestamp() for each in self.chain)

    @property
    def expires(self) -> int:
        """When the first of the chain does."""
        return int(min(each.not_valid_after_utc.timestamp() for each in self.chain))


def bundle(contents: Sequence[bytes]) -> Bundle:
    """Out of one file with certificates and key, or one with each. Raises ``BadPem``."""
    text = b"\n".join(contents)
    chain = certificates(text)
    key = _key(text)
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(serialization.Encoding.PEM, public) != chain[0].public_key().public_bytes(
        serialization.Encoding.PEM, public
    ):
        raise BadPem("the key is not that of the certificate", hint="take the two that were made together")
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Bundle(_in_size(_pem(chain) + private), chain)


def self_signed(names: Sequence[str]) -> bytes:
    """A new key and a certificate for these names and addresses that it signed itself, good for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _pem([made]) + private


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def authority(content: bytes) -> Bundle:
    """Certificates only; whatever else is in the file is left out. Raises ``BadPem``."""
    chain = certificates(content)
    return Bundle(_in_size(_pem(chain)), chain)


def certificates(text: bytes) -> tuple[x509.Certificate, ...]:
    found = [match[0] for match in _BLOCK.finditer(text) if match[1] == b"CERTIFICATE"]
    if not found:
        raise BadPem("there is no certificate in it", hint="it must be PEM: -----BEGIN CERTIFICATE-----")
    try:
        return tuple(x509.load_pem_x509_certificate(block) for block in found)
    except ValueError:
        # without "from": nothing of the content may show in a traceback
        raise BadPem("a certificate in it cannot be read", hint="look at it with `openssl x509 -text`") from None


def _key(text: bytes) -> PrivateKeyTypes:
    found = [match[0] for match in _BLOCK.finditer(text) if match[1].endswith(b"PRIVATE KEY")]
    if len(found) != 1:
        what = f"there are {len(found)} keys for the certificate" if found else "there is no key for the certificate"
        raise BadPem(what, hint="write {cert: …, key: …}, or put exactly one key into the certificate's file")
    try:
        return serialization.load_pem_private_key(found[0], password=None)
    except TypeError:
        raise BadPem("the key is encrypted", hint="HAProxy cannot ask for its password: decrypt it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadPem("the key cannot be read", hint="look at it with `openssl pkey -noout`") from None


def _pem(chain: Sequence[x509.Certificate]) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain)


def _in_size(content: bytes) -> bytes:
    if len(content) > MOST_BYTES:
        raise BadPem(f"it has more than {MOST_BYTES} bytes", hint="leave out certificates that clients know anyway")
    return content
