"""The proof of the proof, with real packets: a fault seeded into a host's rules or into the world is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.proving import finds_nothing, finds_the_fault
from tests.scenarios.proof_stage import BRIDGE, ProofStage, proof_stage
from tests.scenarios.stage import Stage

from dockgate.lab import Lab
from dockgate.verify.report import wrong_lines

pytestmark = pytest.mark.lab

Change = Callable[[ProofStage], object]


@dataclass(frozen=True)
class Fault:
    """``undo``: what loading the rules anew does not mend. ``tells``: words that the report must hold."""

    seed: Change
    tells: str
    undo: Change = lambda play: None


def nft(host: str, words: str) -> Change:
    """A change of a host's own table."""
    return lambda play: play.enforced.nft(host, "-f", "-", feed=words)


def in_overlay(host: str, words: str) -> Change:
    """The same in the overlay's namespace."""
    return lambda play: play.enforced.nft(host, "-f", "-", overlay=play.enforced.overlay("backend"), feed=words)


def verdict(host: str, rule: str, word: str) -> Change:
    """A rule's own chain does something else, under the same name."""

    def change(play: ProofStage) -> None:
        chain, source = play.chain(rule), play.enforced.nft(host, "list", "chain", "inet", "dockgate", play.chain(rule))
        comment = source.partition('comment "')[2].partition('"')[0]
        text = f'flush chain inet dockgate {chain}\nadd rule inet dockgate {chain} counter {word} comment "{comment}"\n'
        play.enforced.nft(host, "-f", "-", feed=text)

    return change


def shell(host: str, command: str) -> Change:
    return lambda play: play.shell(host, command)


BRIDGED = "/proc/sys/net/bridge/bridge-nf-call-iptables"
MASQUERADE = "POSTROUTING -t nat -p tcp --dport 80 -j MASQUERADE"
STRANGER = "DOCKER-USER -p tcp --dport 80 -j DROP"
FAULTS = {
    "no table on a host": Fault(nft("docker2", "delete table inet dockgate"), "has no table inet dockgate"),
    "no table in an overlay": Fault(in_overlay("docker3", "delete table inet dockgate"), "overlay backend on docker3"),
    "guards decide nothing": Fault(nft("docker2", "flush chain inet dockgate c_raw"), "127.0.0.1 by MAC"),
    "anybody may forge overlay frames": Fault(
        nft("docker1", "flush chain inet dockgate c_peers"), "forged overlay frame"
    ),
    "a bridge is missing": Fault(
        lambda play: play.enforced.nft(
            "docker2", "delete", "element", "inet", "dockgate", "bridges", "{", '"' + bridge_device(play) + '"', "}"
        ),
        "let through",
    ),
    "the default accepts": Fault(verdict("docker2", "default deny", "accept"), "let through by"),
    "a foreign accept in front, for IPv6 only": Fault(
        nft("docker2", "insert rule inet dockgate c_forward meta nfproto ipv6 accept"), "fd00:99"
    ),
    "a foreign drop": Fault(
        shell("docker1", f"iptables -I {STRANGER}"), "stopped by ip filter", shell("docker1", f"iptables -D {STRANGER}")
    ),
    "a masquerade where there must be none": Fault(
        shell("docker1", f"iptables -I {MASQUERADE}"), "in the place of", shell("docker1", f"iptables -D {MASQUERADE}")
    ),
    "bridged packets pass by the rules": Fault(
        shell("docker2", f"echo 0 >{BRIDGED}"), "let through", shell("docker2", f"echo 1 >{BRIDGED}")
    ),
    "a swapped direction": Fault(
        lambda play: play.other_rules('from: host, to: "network:apps"', 'from: "network:apps", to: host'),
        "host docker2",
    ),
    "a wrong zone": Fault(
        lambda play: play.other_rules('to: "network:apps", protocol: icmp', "to: bridge, protocol: icmp"), "stopped by"
    ),
    "a member on the wrong network": Fault(
        lambda play: play.docker("docker3", "network", "disconnect", "backend", "web2"),
        "member web2 of pool web is not on backend",
        lambda play: play.docker("docker3", "network", "connect", "backend", "web2"),
    ),
}


def bridge_device(play: ProofStage) -> str:
    ident = play.docker("docker2", "network", "inspect", "-f", "{{.Id}}", BRIDGE)
    return f"br-{ident[:12]}"


@pytest.fixture(scope="module")
def play(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProofStage]:
    with proof_stage(Stage(lab, tmp_path_factory.mktemp("mutations"))) as made:
        made.enforced.load()
        finds_nothing(made.prove)
        yield made


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found(play: ProofStage, name: str) -> None:
    fault = FAULTS[name]
    fault.seed(play)
    try:
        proof = finds_the_fault(play.prove, name)
    finally:
        fault.undo(play)
        play.enforced.load()
    told = "\n".join([*wrong_lines(proof, len(proof.results)), *proof.missing])
    assert fault.tells in told, told[:3000]


def test_without_the_faults_nothing_is_found(play: ProofStage) -> None:
    finds_nothing(play.prove)
