"""`dockgate verify` with real packets: every hole is there against plain Docker and closed with the file's rules."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

import pytest
from tests.proving import finds_nothing
from tests.scenarios.enforced import Enforced
from tests.scenarios.proof_stage import ProofStage, proof_stage
from tests.scenarios.stage import Stage, eventually

from dockgate.lab import Lab
from dockgate.lab.address import CLIENT
from dockgate.verify import Cell, Proof, Result
from dockgate.verify.attacks import API, DIRECT, LOOPBACK, NO_NAT, RUNTIME, STATS, VXLAN

pytestmark = pytest.mark.lab

HAIRPIN = "own host's published port"
Which = Callable[[Result], bool]


def attack(name: str, *, family: int = 4) -> Which:
    def which(result: Result) -> bool:
        return isinstance(result.job, Cell) and result.job.attack == name and result.job.family == family

    return which


def between(source: str, target: str, *, family: int = 4) -> Which:
    """Ordinary cells of TCP 80."""

    def which(result: Result) -> bool:
        job = result.job
        return isinstance(job, Cell) and (job.source.name, job.target.name, job.what, job.family, job.attack) == (
            source, target, "tcp 80", family, "",
        )  # fmt: skip

    return which


HOLES = {
    "a neighbour with a route to container addresses": attack(DIRECT),
    "the same over IPv6": attack(DIRECT, family=6),
    "a SYN to 127.0.0.1 by MAC": attack(LOOPBACK),
    "a forged overlay frame": attack(VXLAN),
    "a container asks its own host's published port": attack(HAIRPIN),
    "a published port without Docker's NAT": attack(NO_NAT),
    "another container to a member": between("web2", "web1"),
    "a container to its neighbour on a bridge": between("db", "app"),
    "its IPv6 twin": between("db", "app", family=6),
}


@pytest.fixture(scope="module")
def play(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProofStage]:
    with proof_stage(Stage(lab, tmp_path_factory.mktemp("proof"))) as made:
        yield made


@pytest.fixture(scope="module")
def plain(play: ProofStage) -> Proof:
    """Docker alone, none of our rules. Comes first: ``closed`` builds on it."""
    return play.prove()


@pytest.fixture(scope="module")
def closed(play: ProofStage, plain: Proof) -> Proof:
    del plain
    play.enforced.load()
    return finds_nothing(play.prove)


@pytest.mark.parametrize("hole", HOLES)
def test_plain_docker_has_the_hole(plain: Proof, hole: str) -> None:
    found = [result for result in plain.results if HOLES[hole](result)]
    assert any(result.status == "wrong" and result.why.startswith("let through") for result in found), found


@pytest.mark.parametrize("hole", HOLES)
def test_the_rules_of_the_file_close_it(closed: Proof, hole: str) -> None:
    found = [result for result in closed.results if HOLES[hole](result)]
    assert found
    for result in found:
        assert result.status == "ok"
        assert isinstance(result.job, Cell)
        assert result.measured is not None
        if result.job.expected.verdict != "allow":
            assert any(item.verdict == "drop" and item.rule for item in result.measured.decided)


def test_a_container_without_any_tool_asks_and_is_asked_like_all_others(play: ProofStage, closed: Proof) -> None:
    shell = play.stage.lab.docker("docker2", "exec", "db", "/bin/sh", "-c", "true", check=False)
    assert shell.returncode != 0, "the control failed: it does hold a shell"
    asks = {r.measured.outcome for r in closed.results if r.job.source.name == "db" and r.measured}
    asked = {r.measured.outcome for r in closed.results if r.job.target.name == "db" and r.measured}
    assert {"open", "dropped"} <= asks
    assert {"open", "dropped"} <= asked


def test_ten_proofs_of_ten_find_nothing_wrong(play: ProofStage, closed: Proof) -> None:
    for _ in range(9):
        finds_nothing(play.prove)
    assert closed.ok


def test_a_proof_leaves_neither_a_table_nor_a_listener_behind(play: ProofStage, closed: Proof) -> None:
    assert closed.ok
    for host in play.stage.lab.hosts:
        assert "dockgate_verify" not in play.enforced.nft(host, "list", "tables")
        node = play.docker(host, "ps", "-q", "--filter", "label=dockgate.kind=node")
        eventually(
            lambda host=host, node=node: "reach" not in play.docker(host, "top", node, "-eo", "pid,args"),
            f"nothing of the proof runs on {host} any more",
        )


def test_a_docker_api_without_tls_is_found(play: ProofStage, closed: Proof) -> None:
    assert {r.status for r in closed.results if r.job.attack == API} == {"ok"}
    play.docker(
        "docker3", "run", "-d", "--name", "relay", "--network", "host", "--user", "0", "--entrypoint", "socat",
        "-v", "/var/run/docker.sock:/docker.sock", "dockgate/haproxy:3.2-1",
        "TCP-LISTEN:2375,fork,reuseaddr", "UNIX-CONNECT:/docker.sock",
    )  # fmt: skip
    try:
        found = [r for r in play.prove().results if r.job.attack == API and r.status == "wrong"]
        assert {r.job.target.name for r in found} == {"docker3"}
    finally:
        play.docker("docker3", "rm", "-f", "relay")


def test_a_runtime_socket_on_the_network_is_found(play: ProofStage, closed: Proof) -> None:
    """A relay in the load balancer's own namespace stands for a `stats socket` with an address."""
    assert {r.status for r in closed.results if r.job.attack == RUNTIME} == {"ok"}
    balancer = play.stage.balancer(play.file, "web")
    play.docker("docker1", "exec", "-d", balancer, "socat", "TCP-LISTEN:9999,fork,reuseaddr",
                "UNIX-CONNECT:/run/haproxy/admin.sock")  # fmt: skip
    try:
        found = [r for r in play.prove().results if r.job.attack == RUNTIME and r.status == "wrong"]
        assert [r.job.asked.port for r in found] == [9999]
    finally:
        top = play.docker("docker1", "top", balancer, "-eo", "pid,args").splitlines()
        for pid in (line.split()[0] for line in top if "TCP-LISTEN:9999" in line):
            play.stage.lab.exec("docker1", ["kill", pid], check=True)


def test_statistics_without_a_password_are_found(play: ProofStage, closed: Proof) -> None:
    """The page as plain HAProxy shows it: at a path that the file says is behind a password, it is not."""
    asked = [r for r in closed.results if r.job.attack == STATS]
    assert [r.status for r in asked] == ["ok", "ok"]
    text = play.file.read_text()
    play.file.write_text(text.replace("path: /lbstats", "path: /index.html"))
    try:
        found = [r for r in play.prove().results if r.job.attack == STATS]
        assert {r.status for r in found} == {"wrong"}
    finally:
        play.file.write_text(text)


def test_the_verb_tells_it_in_80_columns_as_json_and_as_junit(play: ProofStage, closed: Proof) -> None:
    report = play.stage.folder / "proof.xml"
    told = play.stage.dockgate("verify", play.file, "--junit", str(report)).stdout
    assert "all as the file says" in told
    assert max(map(len, told.splitlines())) <= 80
    suite = ElementTree.parse(report).getroot()
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert int(suite.get("tests") or 0) == len(closed.results)


def test_a_client_of_the_lan_is_asked_too_and_a_hole_ends_with_1(play: ProofStage, closed: Proof) -> None:
    assert closed.ok
    lab = play.stage.lab
    words = [sys.executable, "-m", "dockgate", "verify", "--client", "--file", str(play.file), "-o", "json"]
    good = lab.exec(CLIENT, words)
    assert good.returncode == 0, good.stdout[-2000:] + good.stderr
    cells = json.loads(good.stdout)["cells"]
    assert {cell["status"] for cell in cells if cell["from"]["name"] == "client"} == {"ok"}
    assert any(cell["attack"] == VXLAN and cell["from"]["name"] == "client" for cell in cells)
    play.enforced.nft("docker1", "flush", "chain", "inet", "dockgate", "c_peers")
    try:
        bad = lab.exec(CLIENT, words)
        assert bad.returncode == 1
        wrong = [cell for cell in json.loads(bad.stdout)["cells"] if cell["status"] != "ok"]
        assert {"client"} <= {cell["from"]["name"] for cell in wrong}
    finally:
        play.enforced.load()


ICMP_STEPS = (
    ([], (False, False)),
    (["{name: host pings apps, from: host, to: 'network:apps', protocol: icmp}"], (True, False)),
    (
        [
            "{name: host pings apps, from: host, to: 'network:apps', protocol: icmp}",
            "{name: apps ping host, from: 'network:apps', to: host, protocol: icmp}",
        ],
        (True, True),
    ),
)


def test_the_running_examples_icmp_steps_by_verify_and_by_plain_ping(play: ProofStage, closed: Proof) -> None:
    assert closed.ok
    head = play.file.read_text().partition("firewall:")[0]
    network = json.loads(play.docker("docker2", "network", "inspect", "apps"))[0]
    gateway = next(c["Gateway"] for c in network["IPAM"]["Config"] if "." in c.get("Gateway", ""))
    app = next(c["IPv4Address"] for c in network["Containers"].values() if c["Name"] == "app").partition("/")[0]
    pid = play.docker("docker2", "inspect", "-f", "{{.State.Pid}}", "app")
    for rules, expected in ICMP_STEPS:
        text = head + "firewall:\n  default: deny\n  allow:" + ("".join(f"\n    - {r}" for r in rules) or " []") + "\n"
        step = play.file.parent / f"icmp{len(rules)}.yaml"
        step.write_text(text)
        now = ProofStage(play.stage, step, Enforced(play.stage.lab, step))
        now.enforced.load()
        cells = [
            r.job for r in finds_nothing(now.prove).results if isinstance(r.job, Cell) and r.job.protocol == "icmp"
        ]
        shown = tuple(
            {c.expected.verdict == "allow" for c in cells if (c.source.name, c.target.name, c.family) == (*way, 4)}
            for way in (("docker2", "app"), ("app", "docker2"))
        )
        assert shown == tuple({each} for each in expected)
        assert (ping(play, app, ""), ping(play, gateway, pid)) == expected
    play.enforced.load()


def ping(play: ProofStage, address: str, pid: str) -> bool:
    enter = ["nsenter", f"--net=/proc/{pid}/ns/net"] if pid else []
    return play.stage.lab.exec("docker2", [*enter, "ping", "-c", "1", "-W", "1", address]).returncode == 0
