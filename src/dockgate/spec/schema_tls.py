"""Schema of TLS: what ``tls`` of a port may hold. As in ``schema``, descriptions are what users read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dockgate.model.tls import ClientCertificates, Tls

from . import rules
from .schema_base import Model, ShortModel, optional


class CertificateSpec(ShortModel):
    """A certificate with its key, or a folder of them. The path of one file that holds both is enough."""

    short = "cert"

    cert: rules.SecretFile | None = optional(
        "PEM file with the certificate, then its chain; relative to this file's folder. "
        "With the key, unless `key` says where that is."
    )
    key: rules.SecretFile | None = optional("PEM file with the key, readable by you only.")
    folder: rules.SecretFile | None = optional(
        "Instead of `cert`: a folder. Every `NAME.pem` in it holds a certificate and its key, every `NAME.crt` a "
        "certificate whose key is in `NAME.key`."
    )


class ClientCertificatesSpec(Model):
    """Certificates that clients must or may show. Members are told the subject in the header X-Client-Certificate."""

    authority: rules.SecretFile = Field(description="PEM file with the certificates of who signs them.")
    verify: Literal["required", "optional"] = Field(
        default="required" if ClientCertificates.required else "optional",
        description="Whether clients without one are refused. One that is wrong always is.",
    )


class MembersTlsSpec(Model):
    """TLS to members, requests and checks alike."""

    authority: rules.SecretFile = Field(
        description="PEM file with the certificates of who signs theirs; theirs itself where nobody else did."
    )
    name: rules.HostName = Field(
        description="The name that their certificate must be for, and that they are asked for."
    )


class TlsSpec(Model):
    """TLS of a port. HTTP ports offer HTTP/2 as well. A certificate that is replaced is live with the next `up` (or by
    itself under `run`), without a reload and without a closed connection."""

    certificates: list[CertificateSpec] = Field(
        default_factory=list,
        description="The one that fits the name that the client asks for is shown, else the first. RSA and ECDSA "
        "for the same name may stand side by side.",
    )
    self_signed: bool = Field(
        default=False,
        description="Instead of `certificates`, for labs: each load balancer makes one of its own, which no client "
        "trusts.",
    )
    minimum: Annotated[Literal["1.2", "1.3"] | None, rules.VersionNumber] = optional("Oldest version.", Tls.minimum)
    hsts_days: rules.Days | None = optional(
        "For how long browsers may come by HTTPS only. Without it, they are not told."
    )
    clients: ClientCertificatesSpec | None = optional("Certificates of clients. Without it, none is asked for.")
