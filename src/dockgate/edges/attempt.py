"""One attempt at a Docker engine: its time limit, and the library's errors turned into ours.

Invariant: nothing of aiodocker, aiohttp or ssl leaves here; what is already ours passes unchanged.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiodocker import DockerError

from dockgate.errors import EngineError, NotFound

_ID = re.compile(r"[0-9a-f]{64}")
_INNERMOST = re.compile(r"\[([^\[\]]+)\]+$")
"""What the libraries wrap: "Cannot connect to … [Cannot connect to … [Connection refused]]"."""

_NO_CONNECTION = 900
"""What aiodocker gives as a status when it never reached the engine."""


@asynccontextmanager
async def attempt(host: str, url: str, what: str, *, limit_s: float) -> AsyncIterator[None]:
    """Do ``what`` ("list its containers") at a host within a time limit."""
    try:
        async with asyncio.timeout(limit_s):
            yield
    except DockerError as error:
        raise _from_engine(host, url, what, error) from error
    except TimeoutError as error:
        raise EngineError(
            f"{host}: could not {what}: no answer within {limit_s:g} s",
            hint=f"see whether the host answers: docker -H {url} version",
        ) from error
    except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
        raise _unreachable(host, url, what, str(error) or type(error).__name__) from error
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(
            f"{host}: could not {what}: its answer is not one of a Docker engine ({error!r})",
            hint=f"see what answers there: docker -H {url} version",
        ) from error


def short(name_or_id: str) -> str:
    """An id as people write it; a name as it is."""
    return name_or_id[:12] if _ID.fullmatch(name_or_id) else name_or_id


def not_ours(host: str, what: str, project: str) -> EngineError:
    """For what would be removed and does not carry the mark."""
    return EngineError(
        f"{host}: {what} does not carry the labels of project {project!r}, so it was left alone",
        hint="run `dockgate plan` again: the world has changed since this plan was made",
    )


def too_old(host: str, offered: tuple[int, int], oldest: tuple[int, int]) -> EngineError:
    return EngineError(
        f"{host}: its Docker speaks API {offered[0]}.{offered[1]}, which is too old",
        hint=f"install a Docker that speaks API {oldest[0]}.{oldest[1]} or newer (20.10 is the first)",
    )


def _from_engine(host: str, url: str, what: str, error: DockerError) -> EngineError:
    message = " ".join(str(error.message).split())
    if error.status == _NO_CONNECTION:
        return _unreachable(host, url, what, str(error.__cause__ or message))
    said = f"{host}: could not {what}: {message}"
    if error.status == 404:
        return NotFound(said, hint="run `dockgate plan` again: the world may have changed since it was last read")
    return EngineError(said, hint=_hint(error.status, message))


def _hint(status: int, message: str) -> str:
    if "port is already allocated" in message or "address already in use" in message:
        return "something else holds that port on the host: `docker ps` there, or `ss -ltnp`"
    if "cannot assign requested address" in message:
        return "the address is not on that host: compare the VIP's address with `ip address` there"
    if status == 409:
        return "run `dockgate plan` again: the world has changed since this plan was made"
    return "these are Docker's own words; the host's log has more: journalctl -u docker"


def _unreachable(host: str, url: str, what: str, reason: str) -> EngineError:
    scheme, _, place = url.partition("://")
    inner = _INNERMOST.search(reason)
    reason = inner[1] if inner else reason
    if scheme == "ssh":
        hint = f"this must work by hand, without a question: ssh {place} docker version"
    elif scheme == "unix" and "ermission denied" in reason:
        hint = "this user may not use the Docker socket: run as root or join the group docker"
    elif url.startswith("context:"):
        hint = f"this must work by hand: docker --context {url.removeprefix('context:')} version"
    else:
        hint = f"see whether Docker runs there and the address is right: docker -H {url} version"
    return EngineError(f"{host}: could not {what}: cannot reach its Docker engine ({reason})", hint=hint)
