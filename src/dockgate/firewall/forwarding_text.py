"""Forwarding as text for ``nft -f``: more chains for the same table, loaded in the same transaction as the policy.

Names begin with ``n_``. Which container answers at a port is looked up in a map, however many there are; what is apart
from what is looked up in sets of pairs of bridges. Drops only, translations, and nothing that opens. Written for nft
1.0.6 and 1.1. The same forwarding gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .facts import Publication
from .forwarding import Forwarding, Side
from .render import LONGEST_COMMENT, safe

TRANSLATE = -105
LEAVE = 95
"""Before what others do at Docker's own places (-100 and 100)."""
GUARD = -309
SEPARATE = -9
"""Right after the policy's own chains, so that a rule of the file is the one that is named."""

_WORD: dict[int, str] = {4: "ip", 6: "ip6"}


def forwarding_text(forwarding: Forwarding, line: str) -> str:
    """``line``: the place in the user's file that asks for it, for the comments."""
    blocks = [*_sets(forwarding), *_maps(forwarding), *_chains(_Writer(forwarding, line))]
    body = "\n\n".join("\n".join(f"\t{text}" for text in block) for block in blocks)
    head = "# forwarding, masquerading and published ports: the engine here writes no rules of its own"
    return f"{head}\ntable inet dockgate {{\n{body}\n}}\n"


# --- data


def _sets(forwarding: Forwarding) -> Iterator[list[str]]:
    sides = forwarding.sides
    yield _named("set", "n_bridges", "ifname", [_quoted(side) for side in sides])
    yield _named("set", "n_internal", "ifname", [_quoted(side) for side in sides if side.internal])
    pair = "ifname . ifname"
    yield _named("set", "n_same", pair, [f"{_quoted(side)} . {_quoted(side)}" for side in sides])
    apart = [f"{_quoted(side)} . {_quoted(side)}" for side in sides if not side.icc]
    yield _named("set", "n_apart", pair, apart)
    if forwarding.proxy:
        any_, own = "ifname . nf_proto . inet_proto . inet_service", "ifname . {} . inet_proto . inet_service"
        ports = forwarding.ports
        anywhere = [_own(forwarding, item) for item in ports if item.host_address is None]
        yield _named("set", "n_own", any_, anywhere)
        for family, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
            keys = [_own(forwarding, item) for item in ports if item.host_address and item.family == family]
            yield _named("set", f"n_own{family}", own.format(kind), keys)


def _own(forwarding: Forwarding, item: Publication) -> str:
    """A port of a container, as its own network would ask for it."""
    where = f"ipv{item.family}" if item.host_address is None else str(item.host_address)
    return f'"{forwarding.interface(item.network)}" . {where} . {item.protocol} . {item.host_port}'


def _maps(forwarding: Forwarding) -> Iterator[list[str]]:
    for family in (4, 6):
        kind = f"ipv{family}_addr"
        to = f"{kind} . inet_service"
        ports = [item for item in forwarding.ports if item.family == family]
        exact = [f"{item.host_address} . {_leads(item)}" for item in ports if item.host_address is not None]
        anywhere = [_leads(item) for item in ports if item.host_address is None]
        yield _named("map", f"n_at{family}", f"{kind} . inet_proto . inet_service : {to}", exact)
        yield _named("map", f"n_any{family}", f"inet_proto . inet_service : {to}", anywhere)
        subnets = [
            f"{subnet} : jump n_leave{number}"
            for number, side in enumerate(forwarding.sides)
            for subnet in side.bridge.subnets
            if side.masquerade and subnet.version == family
        ]
        yield _named("map", f"n_leave_{family}", f"{kind} : verdict", subnets, interval=True)


def _leads(item: Publication) -> str:
    return f"{item.protocol} . {item.host_port} : {item.address} . {item.port}"


def _named(word: str, name: str, types: str, elements: Iterable[str], *, interval: bool = False) -> list[str]:
    held = list(dict.fromkeys(elements))
    flags = ["\tflags interval"] if interval else []
    inside = ["\telements = {", *(f"\t\t{text}," for text in held), "\t}"] if held else []
    return [f"{word} {name} {{", f"\ttype {types}", *flags, *inside, "}"]


def _quoted(side: Side) -> str:
    return f'"{side.bridge.interface}"'


# --- chains


@dataclass(frozen=True)
class _Writer:
    forwarding: Forwarding
    line: str

    def drop(self, match: str, name: str) -> str:
        return f'{match} counter drop comment "{self._comment(name)}"'

    def comment(self, statement: str, name: str) -> str:
        return f'{statement} comment "{self._comment(name)}"'

    def _comment(self, name: str) -> str:
        return safe(f"{self.line} {name}", LONGEST_COMMENT)


def _chains(writer: _Writer) -> Iterator[list[str]]:
    yield _publish(writer)
    yield _coming_in(writer.forwarding)
    yield _own_requests(writer.forwarding)
    yield from _leaving(writer)
    yield [
        "chain n_guard {",
        f"\ttype filter hook prerouting priority {GUARD}; policy accept;",
        "\t" + writer.drop('iifname != "lo" ip daddr 127.0.0.0/8', "no loopback from outside"),
        "}",
    ]
    yield _separate(writer)


def _publish(writer: _Writer) -> list[str]:
    """Asked for by its own address before asked for at any."""
    lines = []
    for family in (4, 6):
        word, name = _WORD[family], "published ports"
        exact = f"dnat {word} to {word} daddr . meta l4proto . th dport map @n_at{family}"
        anywhere = f"meta nfproto ipv{family} dnat {word} to meta l4proto . th dport map @n_any{family}"
        lines += [writer.comment(exact, name), writer.comment(anywhere, name)]
    return ["chain n_publish {", *(f"\t{line}" for line in lines), "}"]


def _coming_in(forwarding: Forwarding) -> list[str]:
    """From a container's own network its port is left to Docker's proxy: an answer would not come back this way."""
    own = [
        "iifname . meta nfproto . meta l4proto . th dport @n_own return",
        "iifname . ip daddr . meta l4proto . th dport @n_own4 return",
        "iifname . ip6 daddr . meta l4proto . th dport @n_own6 return",
    ]
    return [
        "chain n_in {",
        f"\ttype nat hook prerouting priority {TRANSLATE}; policy accept;",
        *(f"\t{line}" for line in own if forwarding.proxy),
        "\tfib daddr type local jump n_publish",
        "}",
    ]


def _own_requests(forwarding: Forwarding) -> list[str]:
    return [
        "chain n_out {",
        f"\ttype nat hook output priority {TRANSLATE}; policy accept;",
        *(["\tip daddr 127.0.0.0/8 return"] if forwarding.proxy else []),
        "\tip6 daddr ::1 return",
        "\tfib daddr type local jump n_publish",
        "}",
    ]


def _leaving(writer: _Writer) -> Iterator[list[str]]:
    proxy = writer.forwarding.proxy
    for number, side in enumerate(writer.forwarding.sides):
        if side.masquerade:
            bridge = _quoted(side)
            name = f"masquerading of {side.bridge.network}"
            hairpin = writer.comment(f"oifname {bridge} ct status dnat masquerade", name)
            lines = [writer.comment(f"oifname != {bridge} masquerade", name), *([] if proxy else [hairpin])]
            yield [f"chain n_leave{number} {{", *(f"\t{line}" for line in lines), "}"]
    local = writer.comment("ip saddr 127.0.0.0/8 oifname @n_bridges masquerade", "published ports")
    yield [
        "chain n_post {",
        f"\ttype nat hook postrouting priority {LEAVE}; policy accept;",
        *([] if proxy else [f"\t{local}"]),
        "\tip saddr vmap @n_leave_4",
        "\tip6 saddr vmap @n_leave_6",
        "}",
    ]


def _separate(writer: _Writer) -> list[str]:
    lines = [
        "ct state established,related accept",
        writer.drop("iifname . oifname @n_apart", "containers of that network are apart (icc off)"),
        "iifname . oifname @n_same accept",
        writer.drop("iifname @n_internal", "an internal network has no way out"),
        writer.drop("oifname @n_internal", "an internal network has no way in"),
        writer.drop("iifname @n_bridges oifname @n_bridges", "networks are apart from each other"),
        "ct status dnat accept",
        writer.drop("oifname @n_bridges", "only published ports are reached from outside"),
    ]
    return [
        "chain n_forward {",
        f"\ttype filter hook forward priority {SEPARATE}; policy accept;",
        *(f"\t{line}" for line in lines),
        "}",
    ]
