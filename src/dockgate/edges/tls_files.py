"""TLS files in a load balancer's volume: put there, made live over HAProxy's runtime socket, and taken away.

A key travels once, inside an archive for the volume, and belongs to HAProxy's user alone (mode 0600). What goes through
exec are names: HAProxy's socket is fed from the file by a shell in the container, so that no key stands in a command
line. Invariant: a file is replaced whole, and only by what the running HAProxy took where it had to take it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dockgate.edges.api import EngineApi
from dockgate.errors import ActionFailed, NotFound
from dockgate.model.objects import ADMIN_SOCKET, CONFIG_DIR, TLS_LIST

NOT_LOADED = "not referenced by the configuration"

_COMMIT = """file="$1/$2"; to="UNIX-CONNECT:$3"; say() { socat -t 10 - "$to"; }
answer=$({ printf 'set ssl cert %s <<\\n' "$file"; cat "$file.new"; printf '\\n'; } | say)
case "$answer" in *ransaction*) ;; *) echo "$answer"; exit 1;; esac
answer=$(printf 'commit ssl cert %s\\n' "$file" | say)
case "$answer" in *Success*) exit 0;; esac
printf 'abort ssl cert %s\\n' "$file" | say >/dev/null; echo "$answer"; exit 1
"""
_INTO_PLACE = 'set -e; cd "$1"; shift; for name; do mv -f "$name.new" "$name"; done'
_REMOVE = 'set -e; cd "$1"; shift; rm -f "$@"'


async def listed(engine: EngineApi, container: str) -> tuple[tuple[str, str], ...]:
    """Name and SHA-256 of each, sorted by name."""
    try:
        text = (await engine.get_file(container, f"{CONFIG_DIR}/{TLS_LIST}")).decode(errors="replace")
    except NotFound:
        return ()
    words = (line.split() for line in text.splitlines())
    return tuple(sorted((pair[0], pair[1]) for pair in words if len(pair) == 2))


async def stage(engine: EngineApi, container: str, files: Mapping[str, bytes]) -> None:
    """Beside those that are used, readable by HAProxy alone."""
    await engine.put_files(container, CONFIG_DIR, {f"{name}.new": content for name, content in files.items()}, own=True)


async def commit(engine: EngineApi, container: str, name: str) -> bool:
    """Have the running HAProxy use what was staged, for every connection from now on. False: it has no such file
    loaded. ``ActionFailed`` when it refuses; then it goes on with what it has."""
    argv = ["sh", "-c", _COMMIT, "sh", CONFIG_DIR, name, ADMIN_SOCKET]
    done = await engine.exec(container, argv, timeout_s=30.0)
    if done.code == 0:
        return True
    said = " / ".join(done.output.split("\n"))
    if NOT_LOADED in said:
        return False
    raise ActionFailed(
        f"{engine.host}: HAProxy in {container} does not take {name}: {said or 'no answer'}; the one before goes on",
        hint="look at the certificate with `openssl x509 -text`, and at `docker logs`",
    )


def into_place(names: Sequence[str]) -> list[str]:
    """The command that puts what was staged where it is read."""
    return ["sh", "-c", _INTO_PLACE, "sh", CONFIG_DIR, *names]


def staged_removal(names: Sequence[str]) -> list[str]:
    """The command that takes back what ``stage`` did."""
    return removal([f"{name}.new" for name in names])


def removal(names: Sequence[str]) -> list[str]:
    return ["sh", "-c", _REMOVE, "sh", CONFIG_DIR, *names]


async def write_list(engine: EngineApi, container: str, files: Mapping[str, str]) -> None:
    text = "".join(f"{name} {digest}\n" for name, digest in sorted(files.items()))
    await engine.put_files(container, CONFIG_DIR, {TLS_LIST: text.encode()})
