"""The running example's firewall as text, nftables and iptables. A change of these files is a change of the firewall.

``DOCKGATE_WRITE_GOLDEN=1 pytest tests/golden/test_firewall.py`` writes them anew, for reading in the diff.
"""

from __future__ import annotations

import os
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.unit.spec.reading import read
from tests.worlds import bare_world, with_container

from dockgate.cli.firewall import policy_table
from dockgate.firewall import (
    HostFacts,
    compile_ruleset,
    complete,
    host_facts,
    overlay_facts,
    render,
    render_iptables,
)
from dockgate.firewall.engine import forwards
from dockgate.firewall.host_rules import iptables_text, table_text
from dockgate.model.desired import Desired
from dockgate.model.engine_rules import EngineRules
from dockgate.model.observed import (
    Attachment,
    Container,
    Labels,
    Observed,
    ObservedHost,
    ObservedNetwork,
    PublishedPort,
)

FOLDER = Path(__file__).parent / "firewall"
EXAMPLE = Path(__file__).parents[1] / "unit/spec/running_example.yaml"
NETWORK = "presentation_backend"


def example() -> Desired:
    return read(EXAMPLE.read_text()).desired


def world(desired: Desired) -> Observed:
    """The three hosts with their containers, as the lab has them."""
    made = bare_world(desired)
    bridge = ObservedNetwork("b1", "bridge", "bridge", "local", False, False, subnet="172.17.0.0/16")
    overlay = ObservedNetwork("o1", NETWORK, "overlay", "swarm", True, True, subnet="10.0.1.0/24")
    hosts = tuple(
        (name, replace(host, networks=(bridge, overlay), bridge_filter=True, lan=("192.168.50.0/24",)))
        for name, host in made.hosts
        if isinstance(host, ObservedHost)
    )
    made = replace(made, hosts=hosts)
    labels = Labels.of({"dockgate.project": "shop", "dockgate.kind": "lb", "dockgate.name": "web"})
    places = (Attachment("bridge", "172.17.0.2"), Attachment(NETWORK, "10.0.1.2"))
    made = with_container(
        made,
        "docker1",
        Container("1", "shop-web", "lb", "running", labels, places, (PublishedPort(80, 80),)),
    )
    for number, host in ((1, "docker2"), (2, "docker3")):
        member = Container(
            f"w{number}", f"web{number}", "web", "running", Labels(), (Attachment(NETWORK, f"10.0.1.{number + 2}"),)
        )
        made = with_container(made, host, member)
    return made


def as_text(desired: Desired) -> str:
    out = StringIO()
    Console(file=out, width=160, color_system=None).print(policy_table(complete(desired)))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def facts(desired: Desired) -> HostFacts:
    found = host_facts(desired, world(desired), "docker1")
    assert isinstance(found, HostFacts)
    return found


def shown(form: str) -> str:
    desired = example()
    policy = complete(desired)
    overlay = overlay_facts(desired, world(desired), NETWORK)
    match form:
        case "policy.txt":
            return as_text(desired)
        case "docker1.nft":
            return render(compile_ruleset(policy, facts(desired)))
        case "overlay.nft":
            return render(compile_ruleset(policy, overlay))
        case "docker1.iptables":
            return render_iptables(policy, facts(desired))
    return render_iptables(policy, overlay)


def without_docker(form: str) -> str:
    """The load balancer's host when the engine writes no rules: what Docker would do is in our table as well."""
    desired = read(EXAMPLE.read_text().replace("\nfirewall:\n", "\nfirewall:\n  docker_iptables: off\n")).desired
    assert forwards(desired)
    observed = world(desired)
    off = EngineRules(iptables=False)
    hosts = tuple(
        (name, replace(host, engine_rules=off)) for name, host in observed.hosts if isinstance(host, ObservedHost)
    )
    write = table_text if form.endswith("nft") else iptables_text
    return write(desired, replace(observed, hosts=hosts), complete(desired), facts(desired))


@pytest.mark.parametrize("form", ["forwarding.nft", "forwarding.iptables"])
def test_the_running_example_on_engines_that_write_no_rules(form: str) -> None:
    path = FOLDER / form
    if os.environ.get("DOCKGATE_WRITE_GOLDEN"):
        path.write_text(without_docker(form))
    assert without_docker(form) == path.read_text()


@pytest.mark.parametrize("form", ["policy.txt", "docker1.nft", "overlay.nft", "docker1.iptables", "overlay.iptables"])
def test_the_running_example(form: str) -> None:
    path = FOLDER / form
    if os.environ.get("DOCKGATE_WRITE_GOLDEN"):
        path.write_text(shown(form))
    assert shown(form) == path.read_text()
