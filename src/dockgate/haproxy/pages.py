"""Pages: what the load balancer answers by itself, in a user's words or in a line of text.

Role: the payload of an answer, and where HAProxy's own errors get theirs. A page stands in the configuration byte by
byte, so that nothing in it is read as anything else.
"""

from __future__ import annotations

from collections.abc import Iterator

from dockgate.haproxy.tree import Line, line
from dockgate.haproxy.words import encode
from dockgate.model.desired import Vip
from dockgate.model.http import Page

MAINTAINERS = "maintainers"
OF_HAPROXY = (400, 408, 500, 502, 503, 504)
"""Answers that are HAProxy's own; all others are given by a rule of ours."""


def payload(vip: Vip, status: int, text: str) -> tuple[str, ...]:
    """What follows the status of a ``return`` rule: the VIP's page for it, or else a line of text."""
    page = dict(vip.http.errors).get(status)
    return _page(page) if page else ("content-type", "text/plain", "string", text)


def own_errors(vip: Vip) -> Iterator[Line]:
    """For each frontend and backend in mode http: HAProxy looks where the request is when it fails."""
    for status, page in vip.http.errors:
        if status in OF_HAPROXY:
            yield line("http-error", "status", status, *_page(page), origin=page.source)


def closed(vip: Vip) -> Iterator[Line]:
    """Maintenance: once it is known who asks, and before anything is counted or sent elsewhere."""
    asked = vip.maintenance
    if asked is None:
        return
    text = ("content-type", "text/plain", "string", "this service is being worked on; please come back later")
    answer = _page(asked.page) if asked.page else text
    later = ("hdr", "Retry-After", str(asked.retry_after_s)) if asked.retry_after_s else ()
    when = ("unless", MAINTAINERS) if asked.allow else ()
    # With its headers between the type and the text, as HAProxy wants them.
    words = (*answer[:2], *later, *answer[2:])
    yield line("http-request", "return", "status", 503, *words, *when, origin=asked.source)


def _page(page: Page) -> tuple[str, ...]:
    return "content-type", page.content_type, "string", encode(page.content)
