"""What is said to HAProxy and to node containers, and what odd answers become."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.fakes.engine import FakeEngine
from tests.fakes.network import FakeNetwork

from dockgate.edges import haproxy_socket, node
from dockgate.edges.api import ExecResult
from dockgate.edges.archives import read_archives
from dockgate.errors import ActionFailed, DockgateError, EngineError
from dockgate.model.proof import ProofRequest

REQUEST = ProofRequest("192.168.50.11", 80, "http", "pres")


class Scripted(FakeEngine):
    """Every command in it ends as told; what was run is kept."""

    def __init__(self, folder: Path, answer: ExecResult) -> None:
        super().__init__(FakeNetwork(folder), "docker1", address="192.168.50.11")
        self.answer = answer
        self.run: list[Sequence[str]] = []

    async def exec(self, container: str, argv: Sequence[str], *, user: str = "", timeout_s: float = 10.0) -> ExecResult:
        self.run.append(argv)
        return self.answer


def test_commands_are_joined_up_to_what_haproxy_reads_at_once() -> None:
    commands = [f"set server pres/web{number} weight 7" for number in range(2000)]
    batches = list(haproxy_socket.batches(commands))
    assert ";".join(batches).split(";") == commands
    assert all(len(batch) <= haproxy_socket.MAX_LINE for batch in batches)
    assert len(batches) == 5


def test_no_commands_are_no_batch() -> None:
    assert list(haproxy_socket.batches([])) == []


@pytest.mark.parametrize("stdout", ["", "\n", "Success=0\n--\n[ALERT] (1) : nonsense\n", "Unknown command"])
async def test_anything_but_success_is_a_failed_reload(tmp_path: Path, stdout: str) -> None:
    with pytest.raises(ActionFailed, match="did not take the new configuration; the old one goes on"):
        await haproxy_socket.reload(Scripted(tmp_path, ExecResult(0, stdout)), "lb")


async def test_statistics_that_are_none_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the statistics of HAProxy in lb cannot be understood"):
        await haproxy_socket.running(Scripted(tmp_path, ExecResult(0, "Unknown command\n")), "lb")


async def test_a_large_state_is_handed_over_in_pieces(tmp_path: Path) -> None:
    header = "1\n# be_id be_name srv_id srv_name srv_addr srv_port srv_uweight srv_iweight\n"
    rows = "".join(f"1 pres {n} web{n} 10.0.0.1 80 1 1\n" for n in range(9000))
    config = "backend pres\n" + "".join(f"    server web{n} web{n}:80 weight 100\n" for n in range(9000))
    engine = Scripted(tmp_path, ExecResult(0, header + rows))
    await haproxy_socket.save_state(engine, "lb", config=config)
    written = engine.run[1][5:]
    assert max(map(len, written)) < 128 * 1024
    assert "".join(written).count("\n") == 9002


@pytest.mark.parametrize(
    "stdout", ["", "[]", "{}", "[1]", '[{"outcome": "strange"}]', '[{"status": 200}]', '{"error": "x"}']
)
async def test_an_answer_that_is_none_is_no_proof(tmp_path: Path, stdout: str) -> None:
    with pytest.raises(EngineError, match="the node container's answer to probe cannot be understood"):
        await node.probe(Scripted(tmp_path, ExecResult(0, stdout)), "node", (REQUEST,))


async def test_a_node_program_that_fails_is_quoted(tmp_path: Path) -> None:
    engine = Scripted(tmp_path, ExecResult(1, json.dumps({"error": "no such device"})))
    with pytest.raises(EngineError, match="the node container could not announce: no such device"):
        await node.announce(engine, "node", "10.10.10.150")


async def test_a_probe_that_could_not_be_tried_keeps_that_name(tmp_path: Path) -> None:
    said = json.dumps([{"outcome": "probe_failed", "error": "no memory"}])
    (answer,) = await node.probe(Scripted(tmp_path, ExecResult(0, said)), "node", (REQUEST,))
    assert str(answer) == "probe failed (no memory)"


def test_archives_are_those_whose_files_are_there(tmp_path: Path) -> None:
    assert read_archives(tmp_path) == {}
    (tmp_path / "web.tar").touch()
    (tmp_path / "index.json").write_text('{"dockgate/web:1": {"file": "web.tar"}, "x:1": {"file": "gone.tar"}}')
    assert read_archives(tmp_path) == {"dockgate/web:1": tmp_path / "web.tar"}


@pytest.mark.parametrize("text", ["", "[]", '{"x:1": "web.tar"}', '{"x:1": {}}'])
def test_an_index_that_cannot_be_understood_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(DockgateError, match="the index of image archives"):
        read_archives(tmp_path)
