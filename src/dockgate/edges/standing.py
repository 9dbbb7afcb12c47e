"""A standing connection to a load balancer's runtime socket, and what is held out of the traffic while it stands.

One exec of a small script beside HAProxy: what we write goes to the admin socket, what HAProxy answers comes back, a
command costs a millisecond instead of the start of a process. The script knows which servers we *hold* (drained, as
they were told to stop or are not healthy yet) and sets them ready when its input ends or stays silent: a controller
that is killed, cut off or loses its power leaves nobody out of a pool for ever.
Invariant: whatever is held is known to the script before it is drained.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from dockgate.edges.api import EngineApi, Talk
from dockgate.errors import EngineError
from dockgate.haproxy import hold as words
from dockgate.haproxy import stats
from dockgate.model.objects import ADMIN_SOCKET

ANSWER_S = 2.0
SILENCE_S = 15
"""When nothing was said for so long, whoever held servers is taken for dead."""

PROMPT = "\n> "
_SCRIPT = r"""trap '' PIPE
socat -T "$2" -u - - | {
  held=' '
  while IFS= read -r line; do
    case $line in
      'hold '*) held="$held${line#hold } " ;;
      'free '*) rest=' '
        for one in $held; do [ "$one" = "${line#free }" ] || rest="$rest$one "; done
        held=$rest ;;
      *) printf '%s\n' "$line" || break ;;
    esac
  done
  for one in $held; do
    printf 'set server %s state ready\n' "$one" | socat -t 2 - "UNIX-CONNECT:$1" >/dev/null 2>&1
  done
} | socat -t 1 - "UNIX-CONNECT:$1"
"""


class Standing:
    """One connection. Not for two tasks at once without ``ask``'s own lock, which it has."""

    def __init__(self, talk: Talk, who: str) -> None:
        self._talk = talk
        self._who = who
        self._busy = asyncio.Lock()
        self._rest = ""

    async def ask(self, line: str) -> str:
        """HAProxy's answer to a line of commands. After an EngineError the connection is over."""
        async with self._busy:
            await self._talk.send(f"{line}\n")
            return await self._answer(line)

    async def hold(self, server: str) -> None:
        """Whoever reads the other end sets ``POOL/SERVER`` ready when we are gone."""
        async with self._busy:
            await self._talk.send(f"hold {server}\n")

    async def free(self, server: str) -> None:
        async with self._busy:
            await self._talk.send(f"free {server}\n")

    async def pid(self) -> int:
        """The process at the other end; 0 when it is an old one on its way out."""
        said = stats.parse_info(await self.ask("show info"))
        return int(said.get("Pid", 0)) if said.get("Stopping", "0") == "0" else 0

    async def servers(self, pool: str) -> Mapping[str, words.ServerStanding]:
        """How every server of a backend stands."""
        said = await self.ask(f"show servers state {pool}")
        try:
            return words.parse(said)
        except ValueError as error:
            raise self._over(f"show servers state {pool}", str(error)) from error

    async def greet(self) -> None:
        await self._talk.send("prompt\n")
        await self._answer("prompt")
        await self.ask("set timeout cli 1m")

    async def _answer(self, line: str) -> str:
        try:
            async with asyncio.timeout(ANSWER_S):
                while PROMPT not in self._rest and self._rest != "> ":
                    said = await self._talk.receive()
                    if not said:
                        raise self._over(line, "the connection ended")
                    self._rest += said
        except TimeoutError as error:
            raise self._over(line, f"no answer within {ANSWER_S:g} s") from error
        answer, _, self._rest = self._rest.partition(PROMPT)
        return answer

    def _over(self, line: str, why: str) -> EngineError:
        return EngineError(
            f"{self._who}: HAProxy did not answer `{line[:60]}` on the standing connection: {why}",
            hint="it is opened again by itself; docker logs of the load balancer says more",
        )


@asynccontextmanager
async def standing(engine: EngineApi, container: str, *, name: str) -> AsyncIterator[Standing]:
    """``name``: the load balancer's, for messages."""
    async with engine.talk(container, script()) as talk:
        connection = Standing(talk, f"{engine.host}: {name}")
        await connection.greet()
        yield connection


def script() -> Sequence[str]:
    return ("sh", "-c", _SCRIPT, "sh", ADMIN_SOCKET, str(SILENCE_S))
