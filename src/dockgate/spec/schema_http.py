"""Schema of what is done with clients, requests and answers: the models that VIPs and routes share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dockgate.model import http

from . import rules, rules_firewall, rules_http
from .schema_base import Model, SecretSpec, ShortModel, optional


class ClientsSpec(Model):
    """Who may connect, by address. Others get 403 on HTTP ports and are cut off on TCP ports."""

    allow: list[rules_firewall.Prefix] | None = optional(
        "Only these addresses and prefixes. Without it, everybody.",
    )
    deny: list[rules_firewall.Prefix] | None = optional("Never these, even if `allow` holds them.")


class HeadersSpec(Model):
    """Changes of headers: first `remove`, then `set`, then `add`. Values are literal."""

    set: dict[rules_http.HeaderName, rules_http.HeaderValue] = Field(
        default_factory=dict, description="Headers with their values, instead of what is there."
    )
    add: dict[rules_http.HeaderName, rules_http.HeaderValue] = Field(
        default_factory=dict, description="Headers with their values, beside what is there."
    )
    remove: list[rules_http.HeaderName] = Field(default_factory=list, description="Headers that are taken out.")


class RedirectSpec(Model):
    """Sends clients elsewhere. The first that matches, in the file's order, decides, before any route is used."""

    host: rules.RouteHost | None = optional("Only for this host name, or `*.example.org` for all names under it.")
    path: rules.UrlPath | None = optional("Only for this path and what is below it, by whole segments.")
    to: rules_http.RedirectTo = Field(description="Where to: `https://www.example.org`, or a path on the same host.")
    code: Literal[301, 302, 303, 307, 308] | None = optional(
        "Status of the answer: `301` and `308` are for good, `307` and `308` keep the method.", http.Redirect.code
    )
    keep_path: bool = Field(
        default=http.Redirect.keep_path,
        description="Whether what follows `path` in the request, query included, is put behind `to`.",
    )


class HeaderMatchSpec(ShortModel):
    """A header that a request must have. Its name alone is enough."""

    short = "name"

    name: rules_http.HeaderName = Field(description="The header's name.")
    value: rules_http.HeaderValue | None = optional("Its whole value, upper and lower case apart. Without it, any.")


class RateLimitSpec(Model):
    """At most so many requests in any such time; others are answered with 429 and `Retry-After`, and count as well."""

    requests: rules_http.Requests = Field(description="How many.")
    per: rules.Duration = Field(description="In which time.")
    by: rules_http.LimitKey | None = optional(
        "For each what: `client` (its address), `host`, `path`, or `header:NAME` (who sends none is not counted).",
        http.RateLimit.by,
    )


class UserSpec(Model):
    """Who may see it."""

    user: rules.User = Field(description="The user's name.")
    password: SecretSpec = Field(description="Where the user's password is kept.")


class AuthSpec(Model):
    """HTTP basic authentication. The configuration holds hashes of the passwords only. Each request costs the load
    balancer a hash of a few milliseconds: meant for people, not for thousands of requests a second."""

    users: list[UserSpec] = Field(description="Who is let in.")
    realm: rules_http.Realm | None = optional("What a browser shows when it asks.", http.Auth.realm)


class ErrorSpec(Model):
    """A page for an answer that the load balancer gives by itself. A member's own answers are left alone."""

    status: Literal[400, 403, 404, 408, 411, 413, 429, 431, 500, 502, 503, 504] = Field(
        description="Of which answer: 503 when no member is up, 504 when one is too slow, 404 without a route, …"
    )
    page: rules.SecretFile = Field(
        description="The file beside this one that is sent: .html, .txt or .json, at most 8 KB."
    )


class MaintenanceSpec(Model):
    """All requests of a VIP's HTTP ports get 503. `true` alone is enough."""

    page: rules.SecretFile | None = optional(
        "The file beside this one that is sent: .html, .txt or .json, at most 8 KB. Without it, a line of text."
    )
    allow: list[rules_firewall.Prefix] = Field(
        default_factory=list, description="Who gets through all the same, by address."
    )
    retry_after: rules.Duration | None = optional("What is said in `Retry-After`. Without it, nothing.")


class ConnectionsSpec(Model):
    """How many connections each port of a VIP takes at once."""

    total: rules_http.ConnectionCount | None = optional("From all clients; others wait. Without it, thousands.")
    per_client: rules_http.ConnectionCount | None = optional(
        "From one address; others are closed at once. Not counted for `trusted_proxies`."
    )


class HttpSpec(Model):
    """What VIPs and routes share."""

    request_headers: HeadersSpec = Field(default_factory=HeadersSpec, description="On the way to a member.")
    response_headers: HeadersSpec = Field(default_factory=HeadersSpec, description="On the way to the client.")
    rate_limits: list[RateLimitSpec] = Field(default_factory=list, description="How many requests are let through.")
    max_body: rules_http.Size | None = optional(
        "Largest body of a request: `512KB`, `10MB`. A larger one is answered with 413, one that does not say how long "
        "it is with 411. Without it, any."
    )
    max_headers: rules_http.HeadersSize | None = optional(
        "Most bytes that all headers of a request may have together, up to `15KB`. More are answered with 431. Without "
        "it, what fits (about 15 KB); more are answered with 400."
    )
    timeout: rules.Duration | None = optional("A member's silence, instead of its pool's `timeouts.server`.")
    auth: AuthSpec | None = optional("Only these users, by HTTP basic authentication. Without it, everybody.")


class RouteHttpSpec(HttpSpec):
    """What is done with the requests of one route and their answers, after what its VIP asks for."""

    strip_path: bool = Field(
        default=False, description="Whether the route's `path` is taken off before a member sees the request."
    )
    add_path: rules.UrlPath | None = optional("A path that is put before the request's.")


class VipHttpSpec(HttpSpec):
    """What is done with all requests of a VIP's HTTP ports and their answers."""

    request_id: bool = Field(
        default=False,
        description="Whether each request gets an `X-Request-ID`, which the member, the log and the answer show. One "
        "from a trusted proxy is kept.",
    )
    compression: bool = Field(
        default=False, description="Whether texts are sent compressed (gzip) to clients that take it."
    )
    errors: list[ErrorSpec] = Field(
        default_factory=list, description="Pages instead of the load balancer's own answers."
    )
    redirects: list[RedirectSpec] = Field(default_factory=list, description="Requests that are sent elsewhere.")
