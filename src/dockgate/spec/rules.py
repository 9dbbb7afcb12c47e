"""Rules: what each single value may look like, as pydantic types with sentences for people and patterns for editors.

Every text that can reach HAProxy's configuration, Docker or a shell passes one of these, and each allows only
characters that are harmless in all of them: no spaces, quotes, ``#``, ``%``, ``$``, backslashes or control characters.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from .problems import quote

MOST_MS = 24 * 3600 * 1000


def fault(what: str, fix: str = "") -> PydanticCustomError:
    """An error of ours; ``what`` continues the sentence that begins with the key."""
    return PydanticCustomError("dockgate", "{what}", {"what": what, "fix": fix})


def describe(value: object) -> str:
    """A value as a person would call it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "nothing"
    return "a list" if isinstance(value, list) else "a mapping"


@dataclass(frozen=True)
class Rule:
    """``noun``: what the value is; ``pattern``: must match all of it; ``words``: the pattern in words.

    ``quotable``: whether a refused value may be repeated; not where a secret is easily written by mistake.
    """

    noun: str
    pattern: str
    words: str
    longest: int = 255
    quotable: bool = True

    def __call__(self, value: object) -> str:
        if not isinstance(value, str):
            fix = f'put it in quotes: "{value}"' if self.quotable and isinstance(value, int | float) else self.words
            raise fault(f"must be {self.noun}{self._not(value)}", fix)
        if len(value) > self.longest:
            raise fault(f"has {len(value)} characters, more than {self.longest}", self.words)
        if not re.fullmatch(self.pattern, value):
            raise fault(f"must be {self.noun}{self._not(value)}", self.words)
        return value

    def _not(self, value: object) -> str:
        if value == "":
            return ", not empty"
        return f", not {describe(value)}" if self.quotable else ""

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{self.pattern}$", "maxLength": self.longest}


NAME = Rule(
    "a name",
    r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?",
    "use letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
    63,
)
PROJECT = Rule(
    "a project name",
    r"[a-z0-9][a-z0-9_-]*",
    "use small letters, digits, '-' and '_', beginning with a letter or digit",
    32,
)
USER = Rule("a user name", r"[A-Za-z0-9][A-Za-z0-9_.@-]*", "use letters, digits, - _ . and @ only", 64)
DNS = Rule(
    "an IPv4 address or a DNS name",
    r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*",
    "write it like 192.168.50.11 or docker1.example.org",
    253,
)
ROUTE_HOST = Rule(
    "a host name",
    r"(\*\.)?" + DNS.pattern,
    "write it like www.example.org, or *.example.org for all names under it",
    253,
)
HEADER_HOST = Rule("a Host header", DNS.pattern + r"(:[0-9]{1,5})?", "write it like www.example.org", 253)
URL_PATH = Rule(
    "a path",
    r"/[A-Za-z0-9._~!*+,;=:@&/-]*",
    "begin it with '/' and use letters, digits and . _ ~ ! * + , ; = : @ & / -",
)
CHECK_PATH = Rule(
    "a path",
    r"/[A-Za-z0-9._~!*+,;=:@&/?-]*",
    "begin it with '/' and use letters, digits and . _ ~ ! * + , ; = : @ & / ? -",
)
ENGINE = Rule(
    "a Docker engine",
    r"(unix:///[A-Za-z0-9_./-]{1,100}|ssh://([A-Za-z0-9_][A-Za-z0-9_.-]*@)?" + DNS.pattern + r"(:[0-9]{1,5})?"
    r"|tcp://" + DNS.pattern + r":[0-9]{1,5}|context:[A-Za-z0-9][A-Za-z0-9_.+-]*)",
    "write unix:///path/to/docker.sock, ssh://user@host, tcp://host:port or context:NAME",
)
IMAGE = Rule(
    "an image",
    r"[a-z0-9][a-z0-9._-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(@sha256:[a-f0-9]{64})?",
    "write it like registry.example.org/haproxy:3.2",
)
SECRET_FILE = Rule(
    "a file name", r"[^\x00-\x1f\x7f]+", "write a path, relative to the folder of this file", 1024, False
)
SECRET_ENV = Rule(
    "an environment variable", r"[A-Za-z_][A-Za-z0-9_]*", "write the variable's name without '$'", 128, False
)
ENDPOINT = Rule(
    "an endpoint",
    DNS.pattern + r":[0-9]{1,5}",
    "write host:port with a host of this file, an IPv4 address or a DNS name",
)
FREE_TEXT = Rule("text", r"[^\x00-\x1f\x7f]+", "write one line of text")


def whole(low: int, high: int) -> tuple[BeforeValidator, WithJsonSchema]:
    """A whole number from ``low`` to ``high``, both included."""

    def check(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        fix = "remove the quotes" if isinstance(value, str) and re.fullmatch("[0-9]+", value) else ""
        raise fault(f"must be a whole number between {low} and {high}, not {describe(value)}", fix)

    return BeforeValidator(check), WithJsonSchema({"type": "integer", "minimum": low, "maximum": high})


def text(rule: Rule, *more: Callable[[str], str]) -> tuple[BeforeValidator, WithJsonSchema]:
    """Text that follows ``rule`` and then passes ``more``."""

    def check(value: object) -> str:
        checked = rule(value)
        for step in more:
            checked = step(checked)
        return checked

    return BeforeValidator(check), WithJsonSchema(rule.schema())


def _duration(value: object) -> int:
    match = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h)", value) if isinstance(value, str) else None
    if not match:
        raise fault(f"must be a time with its unit, not {describe(value)}", "write it like 300ms, 5s, 2m or 1h")
    milliseconds = int(match[1]) * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[match[2]]
    if not 1 <= milliseconds <= MOST_MS:
        raise fault(f"must be between 1ms and 24h, not {describe(value)}")
    return milliseconds


def _status(value: object) -> str:
    said = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = re.fullmatch(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", said) if isinstance(said, str) else None
    if not match or (match[2] and match[2] < match[1]):
        raise fault(f"must be an HTTP status or a range of them, not {describe(value)}", "write 200 or 200-399")
    return match[0]


def _version(value: object) -> object:
    """YAML reads ``version: 1.0`` as a number."""
    return str(value) if isinstance(value, float) else value


def _ipv4(value: object) -> str:
    said = DNS(value) if not isinstance(value, str) or ":" not in value else value
    try:
        address = ipaddress.ip_address(said)
    except ValueError:
        raise fault(f"must be an IPv4 address, not {quote(said)}", "write it like 10.10.10.150") from None
    if address.version == 6:
        raise fault(f"is an IPv6 address ({quote(said)}), which is not supported yet", "use an IPv4 address")
    if address.is_unspecified or address.is_loopback or address.is_multicast or address.is_reserved:
        raise fault(f"cannot be {quote(said)}: no client can connect to it", "use a free address of the hosts' network")
    return str(address)


def _subnet(value: object) -> str:
    if not isinstance(value, str):
        raise fault(f"must be an IPv4 subnet, not {describe(value)}", "write it like 10.20.0.0/24")
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise fault(f"must be an IPv4 subnet, not {quote(value)}", _subnet_hint(value)) from None
    if network.version == 6:
        raise fault(f"is an IPv6 subnet ({quote(value)}), which is not supported yet", "use an IPv4 subnet")
    if not 8 <= network.prefixlen <= 29:
        raise fault(f"must be between /8 and /29, not /{network.prefixlen}")
    return str(network)


def _subnet_hint(value: str) -> str:
    try:
        return f"did you mean {ipaddress.ip_network(value, strict=False)}?"
    except ValueError:
        return "write it like 10.20.0.0/24"


def _reachable_name(value: str) -> str:
    """A DNS name or an IPv4 address; what looks like an address must be one."""
    if re.fullmatch(r"[0-9.]+", value):
        try:
            ipaddress.IPv4Address(value)
        except ValueError:
            raise fault(f"must be an IPv4 address, not {quote(value)}", "write it like 192.168.50.11") from None
    return value.lower()


def _resolvable(value: str) -> str:
    """Containers are looked up in DNS by their names, where two dots in a row cannot be."""
    if ".." in value:
        raise fault(f"must be {NAME.noun}, not {quote(value)}", "leave out one of two dots in a row")
    return value


def _ports_in_range(value: str) -> str:
    port = re.search(r":([0-9]+)$", value)
    if port and not 1 <= int(port[1]) <= 65535:
        raise fault(f"has the port {port[1]}", "a port is between 1 and 65535")
    return value


def _tidy_path(value: str) -> str:
    if "//" in value or {".", ".."} & set(value.split("/")):
        raise fault(f"must be a path as clients send it, not {quote(value)}", "leave out '//', '.' and '..'")
    return value


def _no_ipv6(value: object) -> object:
    """IPv6 in a place where it is plausible gets a sentence of its own."""
    if isinstance(value, str) and ("[" in value or value.count(":") > 3):
        raise fault(
            f"looks like IPv6 ({quote(value)}), which is not supported yet", "use an IPv4 address or a DNS name"
        )
    return value


_STATUS_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"},
        {"type": "integer", "minimum": 100, "maximum": 599},
    ]
}

Name: TypeAlias = Annotated[str, *text(NAME, _resolvable)]
Project: TypeAlias = Annotated[str, *text(PROJECT)]
User: TypeAlias = Annotated[str, *text(USER)]
Address: TypeAlias = Annotated[str, *text(DNS, _reachable_name), BeforeValidator(_no_ipv6)]
RouteHost: TypeAlias = Annotated[str, *text(ROUTE_HOST, str.lower)]
HostName: TypeAlias = Annotated[str, *text(DNS)]
HeaderHost: TypeAlias = Annotated[str, *text(HEADER_HOST, _ports_in_range)]
UrlPath: TypeAlias = Annotated[str, *text(URL_PATH, _tidy_path)]
CheckPath: TypeAlias = Annotated[str, *text(CHECK_PATH)]
Engine: TypeAlias = Annotated[str, *text(ENGINE, _ports_in_range), BeforeValidator(_no_ipv6)]
Image: TypeAlias = Annotated[str, *text(IMAGE)]
SecretFile: TypeAlias = Annotated[str, *text(SECRET_FILE)]
SecretEnv: TypeAlias = Annotated[str, *text(SECRET_ENV)]
EndpointText: TypeAlias = Annotated[str, *text(ENDPOINT, _ports_in_range), BeforeValidator(_no_ipv6)]
FreeText: TypeAlias = Annotated[str, *text(FREE_TEXT)]
Port: TypeAlias = Annotated[int, *whole(1, 65535)]
Weight: TypeAlias = Annotated[int, *whole(0, 256)]
Times: TypeAlias = Annotated[int, *whole(1, 100)]
Retries: TypeAlias = Annotated[int, *whole(0, 10)]
Maximum: TypeAlias = Annotated[int, *whole(1, 1000)]
Days: TypeAlias = Annotated[int, *whole(1, 3650)]
Mtu: TypeAlias = Annotated[int, *whole(576, 65535)]
Duration: TypeAlias = Annotated[
    int, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"})
]
Status: TypeAlias = Annotated[str, BeforeValidator(_status), WithJsonSchema(_STATUS_SCHEMA)]
IPv4: TypeAlias = Annotated[str, BeforeValidator(_ipv4), WithJsonSchema({"type": "string", "format": "ipv4"})]
Subnet: TypeAlias = Annotated[
    str, BeforeValidator(_subnet), WithJsonSchema({"type": "string", "pattern": "^[0-9.]+/[0-9]+$"})
]
VersionNumber = BeforeValidator(_version)
