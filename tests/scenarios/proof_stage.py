"""A stage for proofs: the running example, a bridge of both families with published ports, rules loaded or not.

``db`` holds no tool and listens nowhere. Made once for a whole module, since every proof leaves it as it was.
``prove`` is what `dockgate verify` does, without the command line around it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.scenarios.enforced import Enforced
from tests.scenarios.stage import Stage, eventually
from tests.scenarios.toolless import IMAGE, PROGRAM, load_toolless

from dockgate.cli.session import open_session
from dockgate.controller.verify import verify
from dockgate.edges.files import load_file
from dockgate.firewall import complete
from dockgate.verify import Proof

BRIDGE = "apps"
FILE = """\
project: proof
hosts:
  docker1: {engine: "unix:///run/dockgate-lab/docker1/docker.sock", address: 192.168.50.11}
  docker2: {engine: "unix:///run/dockgate-lab/docker2/docker.sock", address: 192.168.50.12}
  docker3: {engine: "unix:///run/dockgate-lab/docker3/docker.sock", address: 192.168.50.13}
networks: {backend: {driver: overlay, internal: true}}
vips:
  web:
    hosts: [docker1]
    listen: [{port: 80}]
    pool: web
    stats: {path: /lbstats, user: user, password: {file: password}}
pools: {web: {network: backend, port: 80, members: [web1, web2]}}
firewall:
  default: deny
  allow:
    - {name: host pings apps, from: host, to: "network:apps", protocol: icmp}
    - {name: app to db, from: "container:app", to: "container:db", protocol: tcp, port: 80}
    - {name: apps call out, from: "network:apps", to: world, protocol: tcp, port: 9000}
  reject:
    - {name: app stays off the host, from: "container:app", to: host, protocol: tcp, port: 53}
"""


@dataclass
class ProofStage:
    stage: Stage
    file: Path
    enforced: Enforced

    def prove(self) -> Proof:
        return asyncio.run(self._prove())

    async def _prove(self) -> Proof:
        async with open_session(self.file) as session:
            return await verify(session.desired, await session.observe(), session.world)

    def docker(self, host: str, *words: str) -> str:
        return self.stage.lab.docker(host, *words).stdout.strip()

    def shell(self, host: str, command: str) -> str:
        return self.stage.lab.exec(host, ["sh", "-c", command], check=True).stdout

    def chain(self, rule: str) -> str:
        """The chain of a rule of the policy, by its name."""
        policy = complete(load_file(self.file).desired)
        return next(f"r_{index}" for index, each in enumerate(policy.rules) if each.name == rule)

    def other_rules(self, old: str, new: str) -> None:
        """Load the rules of a file that says something else, while this one is proved."""
        text = self.file.read_text()
        assert old in text
        other = self.file.parent / "other" / self.file.name
        other.parent.mkdir(exist_ok=True)
        (other.parent / "password").write_text("secret\n")
        other.write_text(text.replace(old, new))
        Enforced(self.stage.lab, other).load()


@contextmanager
def proof_stage(stage: Stage) -> Iterator[ProofStage]:
    lab = stage.lab
    enforced: Enforced | None = None
    (stage.folder / "password").write_text("secret\n")
    (stage.folder / "password").chmod(0o600)
    file = stage.write(FILE.partition("firewall:")[0])
    try:
        stage.up(file)  # without a firewall: rules are loaded by ``enforced`` and by nobody else
        stage.write(FILE, file)
        stage.start("docker2", "web1", network="backend")
        stage.start("docker3", "web2", network="backend")
        lab.docker("docker2", "network", "create", "--ipv6", "--subnet", "fd00:99::/64", BRIDGE)
        stage.start("docker2", "app", network=BRIDGE, options=["-p", "8080:80"])
        load_toolless(lab, "docker2")
        lab.docker(
            "docker2", "run", "-d", "--name", "db", "--network", BRIDGE, "-p", "127.0.0.1:5432:80", IMAGE, PROGRAM
        )
        stage.members.append(("docker2", "db"))
        stage.members_up(file, "web1", "web2")
        eventually(lambda: _has_ipv6(stage), "the IPv6 addresses of the bridge are no longer tentative")
        enforced = Enforced(lab, file)
        enforced.lift()
        yield ProofStage(stage, file, enforced)
    finally:
        if enforced is not None:
            enforced.lift()
        stage.clear()
        lab.docker("docker2", "network", "rm", BRIDGE, check=False)
        lab.docker("docker2", "rmi", IMAGE, check=False)
        lab.docker("docker1", "network", "rm", "backend", check=False)


def _has_ipv6(stage: Stage) -> bool:
    return "tentative" not in stage.lab.exec("docker2", ["ip", "-6", "address"], check=True).stdout
