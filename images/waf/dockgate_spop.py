"""SPOP, version 2.0, as HAProxy speaks it with its agents: bytes to frames, frames to bytes. No input or output here.

Invariant: whatever the bytes are, reading them gives a value or raises ``Broken``; nothing is taken for complete before
all of it is there, and no frame longer than ``MOST`` is waited for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

MOST = 16 * 1024 * 1024
"""A frame holds a request; HAProxy's own limit is its buffer."""
HELLO, DISCONNECT, NOTIFY = 1, 2, 3
AGENT_HELLO, AGENT_DISCONNECT, ACK = 101, 102, 103
FINAL, ABORTED = 1, 2
VERSION = "2.0"
NO_ERROR, INVALID, TOO_BIG, NO_VERSION, UNSUPPORTED = 0, 4, 3, 8, 10
_SET_VARIABLE, _TRANSACTION = 1, 2
_NULL, _BOOL, _INT32, _UINT32, _INT64, _UINT64, _IPV4, _IPV6, _STRING, _BINARY = range(10)
_WORD = 1 << 64

Value: TypeAlias = bool | int | str | bytes | None


class Broken(ValueError):
    """These bytes are not what the protocol says."""


@dataclass(frozen=True)
class Frame:
    kind: int
    stream: int
    number: int
    payload: bytes
    flags: int = FINAL


@dataclass(frozen=True)
class Message:
    name: str
    arguments: Mapping[str, Value]


@dataclass
class Reader:
    """Collects bytes as they come and gives whole frames."""

    most: int = MOST
    waiting: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> Iterator[Frame]:
        self.waiting += data
        while len(self.waiting) >= 4:
            size = int.from_bytes(self.waiting[:4], "big")
            if size > self.most:
                raise Broken(f"a frame of {size} bytes, more than {self.most}")
            if len(self.waiting) < 4 + size:
                return
            body = bytes(self.waiting[4 : 4 + size])
            del self.waiting[: 4 + size]
            yield read_frame(body)


class _Cursor:
    """A place in some bytes; going over the end is ``Broken``."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def more(self) -> bool:
        return self.at < len(self.data)

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Broken("it ends in the middle of a value")
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        value = self.byte()
        if value < 240:
            return value
        shift = 4
        while True:
            byte = self.byte()
            value += byte << shift
            shift += 7
            if byte < 128:
                return value % _WORD
            if shift > 67:
                raise Broken("a number that does not end")

    def text(self) -> bytes:
        return self.take(self.number())

    def value(self) -> Value:
        kind = self.byte()
        flags, kind = kind >> 4, kind & 15
        if kind in (_INT32, _UINT32, _INT64, _UINT64):
            return self.number()
        if kind == _STRING:
            return self.text().decode("latin-1")
        if kind == _BINARY:
            return self.text()
        if kind == _IPV4:
            return str(ipaddress.IPv4Address(self.take(4)))
        if kind == _IPV6:
            return str(ipaddress.IPv6Address(self.take(16)))
        if kind == _BOOL:
            return bool(flags & 1)
        if kind == _NULL:
            return None
        raise Broken(f"a value of the unknown type {kind}")


def read_frame(body: bytes) -> Frame:
    """A frame without its length."""
    cursor = _Cursor(body)
    kind, flags = cursor.byte(), int.from_bytes(cursor.take(4), "big")
    stream, number = cursor.number(), cursor.number()
    return Frame(kind, stream, number, body[cursor.at :], flags)


def write_frame(frame: Frame) -> bytes:
    head = bytes([frame.kind]) + frame.flags.to_bytes(4, "big") + write_number(frame.stream)
    body = head + write_number(frame.number) + frame.payload
    return len(body).to_bytes(4, "big") + body


def read_pairs(payload: bytes) -> dict[str, Value]:
    """What the payload of a hello or a disconnect holds."""
    cursor, pairs = _Cursor(payload), {}
    while cursor.more():
        name = cursor.text().decode("latin-1")
        pairs[name] = cursor.value()
    return pairs


def write_pairs(pairs: Mapping[str, Value]) -> bytes:
    return b"".join(_write_text(name.encode("latin-1")) + write_value(value) for name, value in pairs.items())


def read_messages(payload: bytes) -> list[Message]:
    """What the payload of a notify holds."""
    cursor, messages = _Cursor(payload), []
    while cursor.more():
        name, count = cursor.text().decode("latin-1"), cursor.byte()
        pairs = [(cursor.text().decode("latin-1"), cursor.value()) for _ in range(count)]
        messages.append(Message(name, dict(pairs)))
    return messages


def write_message(message: Message) -> bytes:
    name = _write_text(message.name.encode("latin-1"))
    return name + bytes([len(message.arguments)]) + write_pairs(message.arguments)


def write_variables(variables: Mapping[str, Value]) -> bytes:
    """The payload of an ack that sets variables of the transaction."""
    head = bytes([_SET_VARIABLE, 3, _TRANSACTION])
    return b"".join(head + _write_text(name.encode()) + write_value(value) for name, value in variables.items())


def read_variables(payload: bytes) -> dict[str, Value]:
    """The inverse of ``write_variables``: what an agent set."""
    cursor, variables = _Cursor(payload), {}
    while cursor.more():
        if cursor.take(2) != bytes([_SET_VARIABLE, 3]):
            raise Broken("an action that does not set a variable")
        cursor.byte()
        name = cursor.text().decode("latin-1")
        variables[name] = cursor.value()
    return variables


def read_headers(data: bytes) -> list[tuple[bytes, bytes]]:
    """HAProxy's ``req.hdrs_bin``: names and values, ended by an empty one of each."""
    cursor, headers = _Cursor(data), []
    while cursor.more():
        name, value = cursor.text(), cursor.text()
        if not name and not value:
            break
        headers.append((name, value))
    return headers


def write_headers(headers: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(_write_text(name) + _write_text(value) for name, value in headers) + b"\0\0"


def write_value(value: Value) -> bytes:
    if value is None:
        return bytes([_NULL])
    if isinstance(value, bool):
        return bytes([_BOOL | (16 if value else 0)])
    if isinstance(value, int):
        return bytes([_INT64]) + write_number(value % _WORD)
    if isinstance(value, bytes):
        return bytes([_BINARY]) + _write_text(value)
    return bytes([_STRING]) + _write_text(value.encode("latin-1", "replace"))


def write_number(value: int) -> bytes:
    if value < 240:
        return bytes([value])
    made = bytearray([value & 255 | 240])
    value = (value - 240) >> 4
    while value >= 128:
        made.append(value & 255 | 128)
        value = (value - 128) >> 7
    made.append(value)
    return bytes(made)


def _write_text(text: bytes) -> bytes:
    return write_number(len(text)) + text
