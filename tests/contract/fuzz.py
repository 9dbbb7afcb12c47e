"""Malformed requests without end: valid ones of HTTP/1 and HTTP/2 with a few changes each, as a seed decides."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.contract.smuggling import HTTP1, HTTP2

_PIECES = (
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"%00", b"%", b"/../", b"//", b"\xff"),
    *(b"\x80", b"\xc0\xaf", b"0", b"-1", b"ffffffffffffffff", b"18446744073709551616", b"HTTP/1.1", b"HTTP/9.9"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: \r\n", b"Connection: close\r\n", b"x" * 300),
    *(b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"A: b\r\n" * 40, b"\0\0\0\4\1\0\0\0\0", b"\xff" * 9),
)


def malformed(seed: int, count: int) -> Iterator[bytes]:
    """``count`` of them, the same for the same seed."""
    chance = random.Random(seed)
    grown = (*HTTP1.values(), *HTTP2.values())
    for _ in range(count):
        data = bytearray(chance.choice(grown))
        for _ in range(chance.randint(1, 6)):
            _changed(chance, data)
        yield bytes(data)


def _changed(chance: random.Random, data: bytearray) -> None:
    place = chance.randint(0, len(data))
    match chance.randint(0, 5):
        case 0:
            data[place:place] = chance.choice(_PIECES)
        case 1:
            del data[place : place + chance.randint(1, 20)]
        case 2 if place < len(data):
            data[place] = chance.randrange(256)
        case 3 if place < len(data):
            data[place] ^= 1 << chance.randrange(8)
        case 4:
            data[place:place] = data[: chance.randint(0, 60)]
        case _:
            del data[max(place, 1) :]
