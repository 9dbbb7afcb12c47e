"""TLS of a port: the words of its bind line, and what is done with requests because of it.

Invariant: a configuration names its TLS files and holds nothing of them; a renewed certificate leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from dockgate.haproxy.pools import backend_name
from dockgate.haproxy.tree import Line, UseBackend, line
from dockgate.haproxy.words import pattern
from dockgate.model.desired import Listen, Vip
from dockgate.model.objects import CONFIG_DIR

HTTPS = 443
CIPHERS = ":".join(
    f"{exchange}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for exchange in ("ECDHE-ECDSA", "ECDHE-RSA")
)
"""For TLS 1.2: forward secrecy and authenticated encryption only. Those of 1.3 are all good."""


def bind_options(listen: Listen) -> tuple[str, ...]:
    """What makes a port speak TLS. HAProxy picks the certificate by the name asked for, and among those of one name
    the kind of key that the client knows."""
    tls = listen.tls
    if tls is None:
        return ()
    words = ["ssl"]
    for certificate in tls.certificates:
        words += ["crt", f"{CONFIG_DIR}/{certificate.name}"]
    if tls.clients:
        verify = "required" if tls.clients.required else "optional"
        words += ["ca-file", f"{CONFIG_DIR}/{tls.clients.authority.name}", "verify", verify]
    if listen.mode == "http":
        words += ["alpn", "h2,http/1.1"]
    return *words, "ssl-min-ver", f"TLSv{tls.minimum}", "ciphers", CIPHERS, "no-tls-tickets"


def tls_lines(vip: Vip, listen: Listen) -> Iterator[Line]:
    """Redirect, HSTS, and what members are told of the client's certificate. Of the scheme ``requests`` tells them."""
    at = listen.source
    if listen.redirect is not None:
        port = "" if listen.redirect == HTTPS else f":{listen.redirect}"
        place = f"https://%[req.hdr(host),host_only]{port}%[pathq]"
        yield line("http-request", "redirect", "code", 308, "location", place, origin=at)
    elif any(each.tls and each.tls.clients for each in vip.listens):
        # On every port of the VIP: a client must not be able to say it of itself.
        yield line("http-request", "del-header", "x-client-certificate", origin=at)
    if listen.tls is None:
        return
    if listen.tls.clients:
        name = "%[ssl_c_s_dn]"
        yield line("http-request", "set-header", "x-client-certificate", name, "if", "{", "ssl_c_used", "}", origin=at)
    if listen.tls.hsts_s:
        header = f"max-age={listen.tls.hsts_s}"
        yield line("http-after-response", "set-header", "strict-transport-security", header, origin=at)


def until_named(listen: Listen) -> Iterator[Line]:
    """Wait for the client's first words, which say the name; whoever speaks something else is not kept waiting."""
    if listen.sni:
        yield line("tcp-request", "inspect-delay", "5s", origin=listen.source)
        yield line("tcp-request", "content", "accept", "if", "{", "req.ssl_hello_type", 1, "}")


def passed_on(listen: Listen) -> tuple[UseBackend, ...]:
    return tuple(UseBackend(backend_name(route.pool), (_asks_for(route.host),), route.source) for route in listen.sni)


def _asks_for(host: str) -> tuple[str, ...]:
    wild = host.startswith("*.")
    return "req.ssl_sni,lower", "-m", "end" if wild else "str", "--", pattern(host[1:] if wild else host)
