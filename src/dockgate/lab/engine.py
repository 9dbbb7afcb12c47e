"""A Docker engine on a unix socket, the few requests the lab itself makes.

Role: HTTP over the socket, JSON in and out, errors with the engine's own words. Needs no docker program here.
Must not: know anything about labs.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlencode

from dockgate.lab.errors import EngineError
from dockgate.lab.process import wait_until

JSON = dict[str, "JSON"] | list["JSON"] | str | int | float | bool | None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file; its path may be longer than a socket address holds."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Engine:
    """One engine; `name` is used in errors."""

    def __init__(self, path: Path, *, name: str) -> None:
        self.path = path
        self.name = name

    def answers(self) -> bool:
        """True if the engine answers a ping now."""
        try:
            with self._request("GET", "/_ping", timeout=5) as response:
                return response.status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait(self, *, seconds: float = 60, log: Path | None = None) -> None:
        """Wait until the engine answers."""
        see = f"Read its log: {log}" if log else ""
        wait_until(self.answers, seconds=seconds, what=f"the engine of {self.name} does not answer", next_step=see)

    def get(self, path: str, *, attempt: str) -> JSON:
        """The JSON of a GET."""
        return self._ask("GET", path, None, attempt=attempt)

    def post(self, path: str, body: JSON = None, *, attempt: str) -> JSON:
        """The JSON of a POST, None if the answer is empty."""
        return self._ask("POST", path, body, attempt=attempt)

    def delete(self, path: str, *, attempt: str) -> JSON:
        """The JSON of a DELETE."""
        return self._ask("DELETE", path, None, attempt=attempt)

    def upload(self, path: str, parameters: Mapping[str, str], body: IO[bytes], *, attempt: str) -> None:
        """POST a tar archive (an import, a build, a load); the engine's stream of messages is read to its end."""
        where = f"{path}?{urlencode(parameters)}"
        said: list[str] = []
        try:
            with self._request("POST", where, body=body, timeout=1800) as response:
                for line in response:
                    said += _words(line)
                    if b'"errorDetail"' in line or response.status >= 300:
                        raise self._refused(" / ".join(said[-6:]), response.status, attempt=attempt)
        except (OSError, http.client.HTTPException) as error:
            raise self._gone(error, attempt=attempt) from error

    def download(self, path: str, target: Path, *, attempt: str) -> None:
        """Write what a GET answers into a file."""
        try:
            with self._request("GET", path, timeout=600) as response:
                if response.status >= 300:
                    raise self._refused(response.read().decode(), response.status, attempt=attempt)
                with target.open("wb") as file:
                    while piece := response.read(1 << 20):
                        file.write(piece)
        except (OSError, http.client.HTTPException) as error:
            raise self._gone(error, attempt=attempt) from error

    def _ask(self, method: str, path: str, body: JSON, *, attempt: str) -> JSON:
        payload = None if body is None else json.dumps(body).encode()
        try:
            with self._request(method, path, body=payload, timeout=120) as response:
                text = response.read().decode()
                if response.status >= 300:
                    raise self._refused(" ".join(_words(text.encode())) or text, response.status, attempt=attempt)
        except (OSError, http.client.HTTPException) as error:
            raise self._gone(error, attempt=attempt) from error
        result: JSON = json.loads(text) if text.strip() else None
        return result

    @contextmanager
    def _request(
        self, method: str, path: str, *, timeout: float, body: bytes | IO[bytes] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _UnixConnection(self.path, timeout)
        kind = "application/json" if isinstance(body, bytes) else "application/x-tar"
        try:
            connection.request(method, path, body=body, headers={"Content-Type": kind} if body else {})
            yield connection.getresponse()
        finally:
            connection.close()

    def _refused(self, said: str, status: int, *, attempt: str) -> EngineError:
        return EngineError(
            f"the engine of {self.name} answered {status}: {said}",
            attempt=attempt,
            next_step="The engine's own words say what it lacks.",
            status=status,
        )

    def _gone(self, error: Exception, *, attempt: str) -> EngineError:
        return EngineError(
            f"the engine of {self.name} at {self.path} broke off: {error}",
            attempt=attempt,
            next_step="Look at `dockgate lab status`.",
        )


def _words(line: bytes) -> list[str]:
    """What a line of the engine's message stream says to a reader."""
    try:
        message = json.loads(line)
    except ValueError:
        return []
    if not isinstance(message, dict):
        return []
    texts = (message.get(name) for name in ("stream", "error", "message"))
    return [text.strip() for text in texts if isinstance(text, str) and text.strip()]
