"""Talking to the HAProxy in a load balancer container: its admin socket and its master's, by exec of socat in there.

Nothing listens outside the container, and no socket is mounted: whoever may use the engine may do this, nobody else.
What the answers mean is read by ``dockgate.haproxy``; what to say is decided by the plan. Invariant: a command that
HAProxy refuses raises ``ActionFailed`` with HAProxy's own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockgate.edges.api import EngineApi
from dockgate.errors import ActionFailed, EngineError
from dockgate.haproxy import sessions, stats
from dockgate.haproxy.runtime import commands, parse_command_output
from dockgate.haproxy.sessions import OpenSession
from dockgate.haproxy.state import carry_over
from dockgate.model.actions import ServerChange
from dockgate.model.objects import ADMIN_SOCKET, MASTER_SOCKET, STATE_FILE
from dockgate.model.observed import RunningHaproxy

MAX_LINE = 15_000
"""HAProxy reads a line of commands into one buffer of 16 kB."""
ASK_S = 5
RELOAD_S = 30

_ASK = 'printf "%s\\n" "$1" | socat -t "$2" - "UNIX-CONNECT:$3"'
_WRITE = 'to="$1"; shift; printf "%s" "$@" > "$to.new" && mv -f "$to.new" "$to"'
_MAX_ARGUMENT = 100_000


async def running(engine: EngineApi, container: str) -> RunningHaproxy:
    """The process as it is now, by its own statistics."""
    answer = await _ask(engine, container, "show info;show stat")
    info, _, stat_rows = answer.partition("\n# pxname")
    try:
        return stats.running(info, f"# pxname{stat_rows}")
    except ValueError as error:
        raise EngineError(
            f"{engine.host}: the statistics of HAProxy in {container} cannot be understood: {error}",
            hint=f"see whether it runs: docker logs {container}",
        ) from error


async def session(engine: EngineApi, container: str, frontend: str, sport: int) -> OpenSession | None:
    """The open session of a client's port, with its server; None where there is none (yet)."""
    number = sessions.number_of(await _ask(engine, container, "show sess"), frontend, sport)
    return sessions.parse(await _ask(engine, container, f"show sess {number}")) if number else None


async def set_servers(engine: EngineApi, container: str, changes: Iterable[ServerChange]) -> None:
    """Carry out changes in order; ActionFailed names the first that HAProxy refused."""
    lines = [command for change in changes for command in commands(change)]
    for batch in batches(lines):
        answer = await _ask(engine, container, batch)
        refused = [words for line in answer.splitlines() if (words := parse_command_output(line))]
        if refused:
            raise ActionFailed(
                f"{engine.host}: HAProxy in {container} refused a runtime command: {refused[0]}",
                hint="run `dockgate plan` again: its servers may have changed since this plan was made",
            )


async def order(engine: EngineApi, container: str, line: str, *, good: tuple[str, ...] = ()) -> None:
    """One command that answers nothing, or ``good`` words, when it was done; else ActionFailed with HAProxy's own."""
    said = _one_line(await _ask(engine, container, line))
    if said and not said.startswith(good or ("\0",)):
        raise ActionFailed(
            f"{engine.host}: HAProxy in {container} refused `{line}`: {said}",
            hint=f"see what its servers are now: dockgate status; docker logs {container}",
        )


async def save_state(engine: EngineApi, container: str, *, config: str) -> None:
    """Write what the next worker may know of its servers to where it reads that. ``config``: what it will load."""
    dump = await _ask(engine, container, "show servers state")
    try:
        state = carry_over(dump.strip("\n"), config)
    except ValueError as error:
        raise _silent(engine, container, "tell the state of its servers", str(error)) from error
    # Through exec, because Docker's own way of copying files does not see a tmpfs.
    pieces = [state[start : start + _MAX_ARGUMENT] for start in range(0, len(state), _MAX_ARGUMENT)]
    result = await engine.exec(container, ["sh", "-c", _WRITE, "sh", STATE_FILE, *pieces])
    if result.code != 0:
        raise _silent(engine, container, "take the state of its servers", result.output)


async def reload(engine: EngineApi, container: str) -> None:
    """Have the master start a worker with the configuration on disk; returns when it serves. The old one keeps running
    when it does not."""
    answer = await _ask(engine, container, "reload", socket=MASTER_SOCKET, wait_s=RELOAD_S)
    verdict, _, words = answer.strip().partition("\n")
    if verdict.strip() != "Success=1":
        raise ActionFailed(
            f"{engine.host}: HAProxy in {container} did not take the new configuration; the old one goes on."
            f" It said: {_one_line(words) or verdict or 'nothing'}",
            hint=f"docker logs {container} has the whole story",
        )


def batches(lines: Iterable[str]) -> Iterator[str]:
    """Commands joined by ``;`` into lines that HAProxy can read whole."""
    batch = ""
    for line in lines:
        if batch and len(batch) + len(line) + 1 > MAX_LINE:
            yield batch
            batch = ""
        batch = f"{batch};{line}" if batch else line
    if batch:
        yield batch


async def _ask(engine: EngineApi, container: str, line: str, *, socket: str = ADMIN_SOCKET, wait_s: int = ASK_S) -> str:
    argv = ["sh", "-c", _ASK, "sh", line, str(wait_s), socket]
    result = await engine.exec(container, argv, timeout_s=wait_s + 5.0)
    if result.code != 0:
        raise _silent(engine, container, f"answer `{line[:60]}`", result.output)
    return result.stdout


def _silent(engine: EngineApi, container: str, what: str, said: str) -> EngineError:
    return EngineError(
        f"{engine.host}: HAProxy in {container} did not {what}: {_one_line(said) or 'no answer'}",
        hint=f"see whether it runs: docker logs {container}",
    )


def _one_line(text: str) -> str:
    return " / ".join(line.strip() for line in text.splitlines() if line.strip() not in ("", "--"))
