"""Schema: the shape of ``dockgate.yaml``. The only pydantic models of the project; nobody outside ``spec`` sees them.

Each model says which keys exist and what a single value may be. What needs more than one value at once is checked in
``resolve``, so that one mistake never hides another. The JSON Schema and docs/reference.md are generated from here:
a field's description is what its user reads. Defaults are those of ``model.desired``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dockgate.model import desired, policy

from . import rules, rules_firewall, rules_http
from .schema_base import Model, SecretSpec, ShortModel, milliseconds, optional
from .schema_http import ClientsSpec, ConnectionsSpec, HeaderMatchSpec, MaintenanceSpec, RouteHttpSpec, VipHttpSpec
from .schema_tls import MembersTlsSpec, TlsSpec
from .schema_waf import WafSpec

LOCAL_ENGINE = "unix:///var/run/docker.sock"


class HostSpec(Model):
    """A Docker host. It needs Docker and nothing else."""

    engine: rules.Engine = Field(
        description="How to reach its Docker API: `unix:///path`, `ssh://user@host[:port]`, `tcp://host:port` (TLS) "
        "or `context:NAME` (a Docker context)."
    )
    address: rules.Address | None = optional(
        "What clients and other hosts reach it by: an IPv4 address or a DNS name. Without it, the host in an `ssh://` "
        "or `tcp://` engine."
    )


class NetworkSpec(Model):
    """A Docker network that load balancers and pool members share. One that exists already is used as it is."""

    driver: Literal["overlay", "bridge"] = Field(
        default="bridge",
        description="`overlay` spans all hosts of a Swarm; `bridge` exists on each host by itself.",
    )
    internal: bool = Field(default=False, description="Whether only the network's own containers can reach it.")
    subnet: rules.Subnet | None = optional("IPv4 subnet. Without it, Docker chooses one.")
    mtu: rules.Mtu | None = optional("Largest packet in bytes. Without it, Docker's default.")


class ListenSpec(Model):
    """One port of a VIP."""

    port: rules.Port = Field(description="TCP port that clients connect to.")
    mode: Literal["http", "tcp"] = Field(
        default="http", description="`http` understands requests; `tcp` passes bytes on as they are."
    )
    pool: rules.Name | None = optional("Where its traffic goes when no route matches. Default: the VIP's `pool`.")
    sni: list[SniSpec] = Field(
        default_factory=list, description="TLS passed on unopened, by the name that the client asks for (TCP)."
    )
    tls: TlsSpec | None = optional("Clients speak TLS to this port. Without it, plain text.")
    redirect: rules.Port | None = optional(
        "Instead of traffic: every request is sent to this port of the VIP by HTTPS (308, HTTP only)."
    )
    accept_proxy: bool = Field(
        default=False,
        description="Whether the VIP's `trusted_proxies` begin each connection here with a PROXY protocol header, v1 "
        "or v2. Others do not, and are not believed if they do.",
    )


class SniSpec(Model):
    """Sends TLS connections for a server name to a pool, as they are: its members have the certificate."""

    host: rules.RouteHost = Field(description="Server name, or `*.example.org` for all names under it.")
    pool: rules.Name = Field(description="Where these connections go.")


class RouteSpec(Model):
    """Sends HTTP requests for a host name or a path, with a header, or a part of them, to a pool of their own.

    The order in the file does not matter: an exact host is tried before a wildcard, a wildcard before none, a longer
    path before a shorter one, with a header before without, and a part (`percent`) before all.
    """

    host: rules.RouteHost | None = optional("Host name, or `*.example.org` for all names under it.")
    path: rules.UrlPath | None = optional("Whole segments of a path: `/api` matches `/api` and `/api/x`, not `/apix`.")
    header: HeaderMatchSpec | None = optional("Only requests that have this header.")
    percent: rules_http.Percent | None = optional(
        "Only so many of a hundred of these requests, by chance: a canary. `0` for none yet. Without it, all."
    )
    pool: rules.Name = Field(description="Where these requests go.")
    clients: ClientsSpec | None = optional("Who may use this route, by address. Without it, whom the VIP lets in.")
    http: RouteHttpSpec | None = optional("What is done with its requests and answers.")
    waf: Literal["on", "detect", "off"] | None = optional(
        "Whether the VIP's web application firewall refuses its attacks, only tells of them, or does not look. Without "
        "it, as the VIP says."
    )


class StatsSpec(Model):
    """HAProxy's statistics page, on every HTTP port of the VIP."""

    path: rules.UrlPath = Field(description="Where the page is, for example `/lbstats`.")
    user: rules.User = Field(description="Who may see it.")
    password: SecretSpec = Field(description="Where the user's password is kept.")


class VipTimeoutsSpec(Model):
    """How long clients may take."""

    client: rules.Duration | None = optional("A client's silence.", milliseconds(desired.VipTimeouts.client))
    request: rules.Duration | None = optional(
        "Until the whole request head is in (HTTP).", milliseconds(desired.VipTimeouts.request)
    )
    keep_alive: rules.Duration | None = optional(
        "Until the next request of an open connection (HTTP).", milliseconds(desired.VipTimeouts.keep_alive)
    )


def _false_is_none(value: object) -> object:
    return None if value is False else value


def _true_is_all(value: object) -> object:
    return {} if value is True else _false_is_none(value)


class VipSpec(Model):
    """A virtual IP: where clients connect. Each has a load balancer container of its own on each of its hosts."""

    hosts: list[rules.Name] | None = optional("Which hosts run its load balancer. Default: the only host.")
    address: rules.IPv4 | None = optional(
        "An IPv4 address of its own, put on its host (then there is one). Without it, the hosts' own addresses."
    )
    listen: list[ListenSpec] = Field(description="Its ports.", min_length=1)
    pool: rules.Name | None = optional("Where traffic goes when no route matches. Without it: 404 (HTTP).")
    routes: list[RouteSpec] = Field(default_factory=list, description="Requests that go elsewhere (HTTP ports).")
    stats: StatsSpec | None = optional("HAProxy's statistics page. Without it, there is none.")
    timeouts: VipTimeoutsSpec = Field(default_factory=VipTimeoutsSpec, description="How long clients may take.")
    clients: ClientsSpec | None = optional("Who may connect, by address. Without it, everybody.")
    connections: ConnectionsSpec | None = optional("How many connections are taken at once.")
    log: Literal["text", "json"] = Field(
        default=desired.Vip.log,
        description="How requests are written down in the load balancer's log: HAProxy's own text, or a JSON object a "
        "line.",
    )
    trusted_proxies: list[rules_firewall.Prefix] | None = optional(
        "Proxies before this VIP, whose word about the client is believed: `X-Forwarded-For`, `X-Forwarded-Proto`, "
        "`Forwarded`, and PROXY where a port accepts it. From everybody else these are removed."
    )
    http: VipHttpSpec | None = optional("What is done with requests and answers on HTTP ports.")
    maintenance: Annotated[MaintenanceSpec | None, BeforeValidator(_true_is_all)] = optional(
        "HTTP ports answer 503 to everybody, or to all but some; `true` is enough."
    )
    waf: WafSpec | None = optional("A web application firewall before its HTTP ports. Without it, none.")
    snippets: list[rules_http.SnippetText] = Field(
        default_factory=list,
        description="For experts: lines of haproxy.cfg that are put into each of its frontends as they stand.",
    )


class MemberSpec(ShortModel):
    """A container. Its name alone is enough."""

    short = "name"

    name: rules.Name = Field(description="Container name.")
    weight: rules.Weight | None = optional("Share of the traffic, 0 (none) to 256.", desired.Member.weight)


class ServiceSpec(ShortModel):
    """A service name or an alias that several containers share. Its name alone is enough."""

    short = "name"

    name: rules.Name = Field(description="The name in Docker's DNS.")
    maximum: rules.Maximum | None = optional("How many addresses are used at most.", desired.ByService.maximum)


class LabelsSpec(Model):
    """Members by label. `true` alone is enough."""

    maximum: rules.Maximum | None = optional("How many members at most.", desired.ByLabel.maximum)


class EndpointSpec(ShortModel):
    """A fixed address. `host:port` alone is enough."""

    short = "endpoint"

    endpoint: rules.EndpointText = Field(
        description="`host:port`; the host is a host of this file, an IPv4 address or a DNS name."
    )
    weight: rules.Weight | None = optional("Share of the traffic, 0 (none) to 256.", desired.Endpoint.weight)


class CheckSpec(ShortModel):
    """How a member shows that it can answer. `tcp` alone is enough; `false` means no checks."""

    short = "kind"

    kind: desired.CheckKind | None = optional(
        "`http`: a request must be answered; `tcp`: a connection must open; `redis`, `postgres`, `smtp`: a server of "
        "that protocol must greet. Default: the mode of the ports that use it."
    )
    user: rules.User | None = optional("Who asks (`postgres`; needs no rights).", desired.Check.user)
    method: Literal["HEAD", "GET", "OPTIONS"] | None = optional("Request method.", desired.Check.method)
    path: rules.CheckPath | None = optional("What is requested.", desired.Check.path)
    version: Annotated[Literal["1.0", "1.1"] | None, rules.VersionNumber] = optional(
        "HTTP version; `1.1` needs `host`.", desired.Check.version
    )
    host: rules.HeaderHost | None = optional("Host header. Without it, none is sent.")
    expect: rules.Status | None = optional("Status that counts as good: `200` or `200-399`.", desired.Check.expect)
    interval: rules.Duration | None = optional("Time between two checks.", milliseconds(desired.Check.interval_ms))
    timeout: rules.Duration | None = optional(
        "How long an answer may take. Default: at most `interval`.",
        milliseconds(desired.Check.timeout_ms),
    )
    fall: rules.Times | None = optional("Bad checks in a row until a member is out.", desired.Check.fall)
    rise: rules.Times | None = optional("Good checks in a row until it is in.", desired.Check.rise)


class PoolTimeoutsSpec(Model):
    """How long members may take."""

    connect: rules.Duration | None = optional(
        "Until the next member is tried.", milliseconds(desired.PoolTimeouts.connect)
    )
    server: rules.Duration | None = optional("A member's silence.", milliseconds(desired.PoolTimeouts.server))
    queue: rules.Duration | None = optional("The wait for a free member.", milliseconds(desired.PoolTimeouts.queue))


class StickySpec(ShortModel):
    """Who came once comes to the same member again. `cookie` or `client` alone is enough."""

    short = "by"

    by: Literal["cookie", "client"] = Field(
        description="How a client is known again: by a `cookie` (HTTP), or by its address (`client`)."
    )
    cookie: rules_http.CookieName | None = optional("The cookie's name.", desired.Sticky.cookie)
    expire: rules.Duration | None = optional(
        "How long after its last request an address is forgotten (`client`).", milliseconds(desired.Sticky.expire_ms)
    )


class PoolSpec(Model):
    """Containers that answer for a VIP: exactly one of `members`, `service`, `labels`, `published` and `endpoints`."""

    members: list[MemberSpec] | None = optional("Containers by name, found in Docker's DNS on the pool's network.")
    service: ServiceSpec | None = optional("Every address that a name has in Docker's DNS on the pool's network.")
    labels: Annotated[LabelsSpec | None, BeforeValidator(_true_is_all)] = optional(
        "Every container, on any host, that carries the label `dockgate.pool` with this pool's name; `true` is enough."
    )
    published: list[MemberSpec] | None = optional(
        "Containers by name, reached over the host ports that Docker published for the pool's port."
    )
    endpoints: list[EndpointSpec] | None = optional("Fixed addresses.")
    network: rules.Name | None = optional(
        "The network on which members are reached; with `members`, `service` and `labels` only, and needed there."
    )
    port: rules.Port | None = optional("Port that members listen on, in the container; not with `endpoints`.")
    balance: Literal["roundrobin", "leastconn", "source", "uri", "random"] = Field(
        default="roundrobin",
        description="Who gets the next request: each in turn, the least busy, by the client's address, by the "
        "request's URI (HTTP), or any.",
    )
    sticky: StickySpec | None = optional(
        "Who came once comes to the same member again, as long as that is up. Without it, `balance` decides each time."
    )
    check: Annotated[CheckSpec | None, BeforeValidator(_false_is_none)] = Field(
        default_factory=CheckSpec, description="How members are checked; `false` for not at all."
    )
    timeouts: PoolTimeoutsSpec = Field(default_factory=PoolTimeoutsSpec, description="How long members may take.")
    tls: MembersTlsSpec | None = optional("Members are spoken to by TLS and have to prove who they are.")
    retries: rules.Retries | None = optional(
        "How often a request is tried again when a member cannot be reached or dies.", desired.Pool.retries
    )
    send_proxy: Literal["v1", "v2"] | None = optional(
        "Version of the PROXY protocol header that tells members the client's address; they must expect it."
    )
    retry_non_idempotent: bool = Field(
        default=False,
        description="Also send POST and PATCH a second time when a member died: they may be carried out twice (HTTP).",
    )
    snippets: list[rules_http.SnippetText] = Field(
        default_factory=list,
        description="For experts: lines of haproxy.cfg that are put into its backend as they stand.",
    )


class HaproxySpec(Model):
    """The load balancers' HAProxy."""

    version: Annotated[Literal["3.0", "3.2"] | None, rules.VersionNumber] = optional(
        "The version that the image holds.", desired.Images.haproxy_version
    )
    image: rules.Image | None = optional("An image of your own instead of dockgate's.")


class NodeSpec(Model):
    """The helper container in which work on a host is done."""

    image: rules.Image | None = optional("An image of your own instead of dockgate's.")


class WafImageSpec(Model):
    """The containers of web application firewalls."""

    image: rules.Image | None = optional("An image of your own instead of dockgate's.")


class FirewallRuleSpec(Model):
    """One decision between two zones. Rules are asked in the order in which they stand in the file, whichever list
    they stand in; the first that matches decides. Answers to what is allowed need no rule."""

    name: rules.FreeText = Field(description="What the rule is called on the screen; each its own.")
    origin: rules_firewall.ZoneText = Field(alias="from", description="Zone that connections come from.")
    to: rules_firewall.ZoneText = Field(description="Zone that connections go to.")
    protocol: Literal["tcp", "udp", "icmp", "any"] = Field(
        default="any", description="`icmp` stands for ICMP and ICMPv6."
    )
    port: rules_firewall.Ports | None = optional(
        'Ports where the connection ends (a published port is the container\'s): `80`, `[80, 443]` or `"8000-8100"`. '
        "Without it, all."
    )
    action: Literal["allow", "reject", "drop"] | None = optional("What the list says; it may be repeated here.")
    log: bool = Field(default=False, description="Whether matches are written to the kernel's log.")


class FirewallSpec(Model):
    """Who may reach whom. `dockgate firewall show` shows all rules, `up` brings them into force on every host."""

    default: Literal["deny", "off"] = Field(
        default="off", description="What holds to, from and between containers where no rule matches."
    )
    docker_iptables: Literal["on", "off"] = Field(
        default="on",
        description="Whether the engines write rules of their own; `off` for `iptables: false` there, then we do.",
    )
    failsafe: list[rules.Port] | None = optional(
        "TCP ports of the hosts that stay open to the outside, whatever the rules say.", list(policy.DEFAULT_FAILSAFE)
    )
    zones: dict[rules.Name, list[rules_firewall.Prefix]] = Field(
        default_factory=dict, description="Sets of addresses by name, IPv4 and IPv6."
    )
    allow: list[FirewallRuleSpec] = Field(default_factory=list, description="What is allowed.")
    reject: list[FirewallRuleSpec] = Field(default_factory=list, description="What is refused with an answer.")
    drop: list[FirewallRuleSpec] = Field(default_factory=list, description="What is dropped without an answer.")


class FileSpec(Model):
    """One file says what is exposed; dockgate makes the Docker hosts match it."""

    project: rules.Project | None = optional(
        "The name under which everything is labelled. Default: the name of this file's folder."
    )
    hosts: dict[rules.Name, HostSpec] | None = optional(
        "Docker hosts by name. Default: one host named `local` with the local engine."
    )
    networks: dict[rules.Name, NetworkSpec] = Field(default_factory=dict, description="Networks by name.")
    vips: dict[rules.Name, VipSpec] = Field(default_factory=dict, description="Virtual IPs by name.")
    pools: dict[rules.Name, PoolSpec] = Field(default_factory=dict, description="Pools by name.")
    haproxy: HaproxySpec = Field(default_factory=HaproxySpec, description="The load balancers' HAProxy.")
    node: NodeSpec = Field(default_factory=NodeSpec, description="The helper container.")
    waf: WafImageSpec = Field(default_factory=WafImageSpec, description="The containers of web application firewalls.")
    firewall: FirewallSpec | None = optional("Who may reach whom.")
