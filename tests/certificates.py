"""Certificates for tests, made on the spot: nothing that expires or could be used lies in the repository."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    private: Key

    @property
    def cert(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key(self) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        return self.private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    def write(self, folder: Path, name: str) -> None:
        """``NAME.crt`` and ``NAME.key``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.crt").write_bytes(self.cert)
        (folder / f"{name}.key").touch(mode=0o600)
        (folder / f"{name}.key").write_bytes(self.key)


def pair(
    *names: str,
    subject: str = "",
    by: Pair | None = None,
    signs: bool = False,
    days: float = 90,
    after_days: float = -1,
) -> Pair:
    """Valid from ``after_days`` from now until ``days`` from now; signed by itself unless ``by`` somebody else."""
    private = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject or (names or ("nobody",))[0])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name)
        .issuer_name(by.certificate.subject if by else subject_name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=after_days))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([*map(_name, names)]), critical=False)
    return Pair(builder.sign(by.private if by else private, hashes.SHA256()), private)


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def fingerprint(pem: bytes) -> str:
    """Of the first certificate in it."""
    return hashlib.sha256(x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)).hexdigest()
