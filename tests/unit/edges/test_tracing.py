"""What the watching program says, as values: words on a way, conntrack's tuples, forwarding entries, and nonsense."""

from __future__ import annotations

import pytest
from tests.worlds_trace import predicted

from dockgate.edges import tracing
from dockgate.errors import DockgateError, EngineError
from dockgate.trace.evidence import Forwarding
from dockgate.trace.legs import legs
from dockgate.trace.model import Ends


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"error": "", "neighbour": "192.168.50.11 dev eth0 REACHABLE", "down": ""}, ""),
        ({"error": "RTNETLINK answers: No route", "neighbour": "", "down": ""}, "there is no route (No route)"),
        ({"error": "", "neighbour": "192.168.50.11 dev eth0 FAILED", "down": ""}, "nobody answers for its address"),
        ({"error": "", "neighbour": "", "down": "eth0"}, "the link eth0 is down"),
    ],
)  # fmt: skip
def test_the_kernels_word_on_a_way_is_told_only_when_something_stands_in_it(said: dict[str, str], words: str) -> None:
    told = tracing.route(said)
    assert words in told
    assert bool(told) is bool(words)


def test_conntracks_tuples_become_ends_there_and_back() -> None:
    there, back = ["192.168.50.100", 28305, "192.168.50.11", 80], ["172.17.0.2", 80, "192.168.50.100", 28305]
    ((seat, first, second),) = tracing.connections("docker1", [[there, back]])
    assert seat == "docker1"
    assert first == Ends("192.168.50.100", 28305, "192.168.50.11", 80)
    assert second == Ends("172.17.0.2", 80, "192.168.50.100", 28305)


async def test_a_program_that_says_nonsense_is_an_error_and_no_evidence() -> None:
    async def write(text: str) -> None:
        del text

    async def read() -> str:
        return "Traceback: no such thing\n"

    watcher = tracing.Watcher("docker1", write, read)
    with pytest.raises(EngineError, match="docker1: could not report for the trace: Traceback"):
        await watcher.say("report")


async def test_a_table_that_could_not_be_read_is_no_answer() -> None:
    async def write(text: str) -> None:
        del text

    async def read() -> str:
        return '{"failed": "there is no namespace of overlay network x on this host"}\n'

    assert await tracing.Watcher("docker1", write, read).ask("forwarding", []) is None


def test_entries_that_were_not_read_are_no_evidence_and_a_container_that_was_not_is_no_contradiction() -> None:
    (there, _) = legs(predicted().servers[0].hops)
    assert tracing.forwarding(there, None, None, None) is None
    found = tracing.forwarding(there, {"mac": "02:42:0a:00:01:04", "host": "192.168.50.12"}, None, None)
    assert found == Forwarding(there.begin.place.key, "10.0.1.4", "02:42:0a:00:01:04", "192.168.50.12")


async def test_without_the_checkouts_images_nothing_is_sent_from_here_and_that_is_said() -> None:
    with pytest.raises(DockgateError, match="is not there, so nothing can be sent from here"):
        async with tracing.here(None, tracing.Job(("host",), 24000, (), "", 1.0, 4789)):
            pass
