"""Specifications of the Docker objects we create: names, labels, hashes. State lives on these labels; nowhere else.

How does a fresh process know that an object is ours? By ``dockgate.project`` = our project and ``dockgate.kind``. What
does not carry both is foreign and is never changed. The hash covers what Docker cannot change on a living container:
everything in ``ContainerSpec`` except ``name`` and ``labels`` (derived from the hash) and ``networks`` (changed live).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from .observed import Container, Labels, PublishedPort

Kind: TypeAlias = Literal[
    "lb", "node", "waf", "network", "address", "config", "sockets", "rules", "helper", "controller"
]

LABEL_PROJECT = "dockgate.project"
LABEL_KIND = "dockgate.kind"
LABEL_STAND_IN = "dockgate.stand-in"
LABEL_NAME = "dockgate.name"
LABEL_HASH = "dockgate.hash"

CONFIG_DIR = "/etc/haproxy"
ACTIVE_CONFIG = "haproxy.cfg"
CANDIDATE_CONFIG = "candidate.cfg"
PREVIOUS_CONFIG = "previous.cfg"
REFUSED_CONFIG = "refused.cfg"
UNPROVED_MARK = "unproved"
"""Beside a configuration that was activated and not proved yet: the pools that must serve with it, one a line."""
TLS_LIST = "tls-files"
"""Beside the configuration: the TLS files in the volume with their SHA-256, one a line, so that no key is read back."""
RUN_DIR = "/run/haproxy"
ADMIN_SOCKET = f"{RUN_DIR}/admin.sock"
MASTER_SOCKET = f"{RUN_DIR}/master.sock"
STATE_FILE = f"{RUN_DIR}/state"
HAPROXY_UID = 99
WAF_RULES = "/etc/waf"
WAF_SOCKETS = "/run/waf"
"""Where a VIP's load balancers and its firewall meet: a volume with the judges' sockets, which have no network."""
WAF_PROGRAM = ("python3", "/usr/local/lib/dockgate/dockgate_waf.py")
NODE_DIR = "/var/lib/dockgate"
"""Where a node container keeps the host's firewall rules."""
CANDIDATE_RULES = "candidate"


@dataclass(frozen=True)
class ContainerSpec:
    """A container of ours: what it runs, and how little it may do.

    ``networks``: all networks it must be on; the first one is the one it is created on. ``publish``: TCP ports.
    ``config_volume``: volume mounted at ``CONFIG_DIR`` (``WAF_RULES`` in a firewall), or "". ``state_volume``: at
    ``NODE_DIR``. ``sockets_volume``: at ``WAF_SOCKETS``. ``content``: a digest of what its configuration volume holds,
    where that cannot change while it lives. ``run_tmpfs``: a private tmpfs on ``RUN_DIR``, owned by ``HAPROXY_UID``.
    ``memory_mb``/``pids``: limits. ``nofile``: open files, two
    for each connection; a Docker that may not raise limits starts nothing that asks for more than it has itself. All
    capabilities are dropped, then ``capabilities`` added. ``revision``: raised when ``edges.docker_json`` asks
    something else for every container, so that those which run are replaced.
    """

    name: str
    kind: Literal["lb", "node", "waf"]
    image: str
    networks: tuple[str, ...]
    publish: tuple[PublishedPort, ...] = ()
    config_volume: str = ""
    state_volume: str = ""
    sockets_volume: str = ""
    content: str = ""
    run_tmpfs: bool = False
    capabilities: tuple[str, ...] = ()
    memory_mb: int = 512
    pids: int = 256
    nofile: int = 20_000
    dns_options: tuple[str, ...] = ()
    revision: int = 1
    labels: Labels = field(default_factory=Labels)


@dataclass(frozen=True)
class NetworkSpec:
    """A network of ours. Kind "address": a bridge that only carries a VIP's address on the host (see docs/design)."""

    name: str
    driver: Literal["overlay", "bridge"]
    kind: Literal["network", "address"] = "network"
    internal: bool = False
    attachable: bool = False
    subnet: str = ""
    gateway: str = ""
    options: tuple[tuple[str, str], ...] = ()
    labels: Labels = field(default_factory=Labels)


def labels_for(project: str, kind: Kind, name: str, spec_hash: str = "") -> Labels:
    """Our mark. ``name`` is the VIP, host or network of the file that the object stands for."""
    pairs = {LABEL_PROJECT: project, LABEL_KIND: kind, LABEL_NAME: name}
    if spec_hash:
        pairs[LABEL_HASH] = spec_hash
    return Labels.of(pairs)


def is_ours(labels: Labels, project: str, kind: Kind | None = None) -> bool:
    """Whether an object carries the project's mark (and, if asked, is of that kind)."""
    return labels.get(LABEL_PROJECT) == project and (kind is None or labels.get(LABEL_KIND) == kind)


def balancer_of(containers: Iterable[Container], project: str, vip: str) -> Container | None:
    """The load balancer of a VIP among one host's containers: the one that runs, else the one that ran last."""
    ours = [item for item in containers if is_ours(item.labels, project, "lb") and item.labels.get(LABEL_NAME) == vip]
    return max(ours, key=lambda item: (item.state == "running", item.since, item.name), default=None)


def container_hash(spec: ContainerSpec) -> str:
    """12 hex digits over everything that needs a new container when it changes."""
    fields = asdict(spec)
    for excluded in ("name", "labels", "networks", "config_volume", "state_volume"):
        del fields[excluded]
    for later in ("sockets_volume", "content"):
        if not fields[later]:
            del fields[later]
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]
