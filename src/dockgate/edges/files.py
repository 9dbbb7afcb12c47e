"""Files: reading the user's file and the secrets that it names. The only place where ``spec`` meets the disk.

Sizes are capped before anything is read, nothing but regular files is opened, and no message holds a secret.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dockgate.edges.key_files import KeyFiles
from dockgate.edges.regular import read_regular, reason
from dockgate.model.source import Source
from dockgate.spec import Loaded, Problem, SecretText, SecretUnavailable, SpecError, load, project_name
from dockgate.spec.document import MAX_BYTES

MAX_SECRET_BYTES = 4096
FILE_SUFFIX = "_FILE"
"""The variable NAME_FILE names a file that holds what NAME would: what a container can be given out of sight."""


def load_file(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded:
    """What the file asks for. Raises ``SpecError``, also for a file that cannot be read."""
    content = read_spec(path)
    folder = path.resolve().parent
    secrets = SecretReader(folder, environment)
    return load(
        content, file=str(path), project=project_name(folder.name), read_secret=secrets, key_files=KeyFiles(folder)
    )


def read_spec(path: Path) -> bytes:
    """The file's bytes, at most one more than ``load`` accepts (which then says so)."""
    try:
        return read_regular(path, MAX_BYTES + 1)
    except FileNotFoundError as error:
        fix = "write one (docs/reference.md), or name it with --file"
        raise _unreadable(path, "the file does not exist", fix) from error
    except OSError as error:
        raise _unreadable(path, f"the file cannot be read: {reason(error)}", "check its path and its rights") from error


@dataclass(frozen=True)
class SecretReader:
    """Reads secrets from files relative to ``folder`` and from ``environment``."""

    folder: Path
    environment: Mapping[str, str]

    def __call__(self, kind: Literal["file", "env"], name: str) -> SecretText:
        return self._from_file(name) if kind == "file" else self._from_environment(name)

    def _from_environment(self, name: str) -> SecretText:
        value = self.environment.get(name)
        if value is not None:
            return SecretText(value)
        file = self.environment.get(f"{name}{FILE_SUFFIX}")
        if file is None:
            raise SecretUnavailable(f"the environment variable {name} is not set", hint="set it before this command")
        return self._from_file(file)

    def _from_file(self, name: str) -> SecretText:
        path = self.folder / name
        try:
            content = read_regular(path, MAX_SECRET_BYTES + 1)
            mode = path.stat().st_mode
        except FileNotFoundError as error:
            hint = "create it, readable by you only (chmod 600)"
            raise SecretUnavailable(f"the secret file '{name}' does not exist", hint=hint) from error
        except (OSError, ValueError) as error:
            what = f"the secret file '{name}' cannot be read: {reason(error)}"
            raise SecretUnavailable(what, hint="check its path and its rights") from error
        if len(content) > MAX_SECRET_BYTES:
            what = f"the secret file '{name}' has more than {MAX_SECRET_BYTES} bytes"
            raise SecretUnavailable(what, hint="is this the right file?")
        readable = bool(mode & stat.S_IROTH)
        note = f"everyone on this machine can read the secret file '{name}': chmod 600" if readable else ""
        return SecretText(_decoded(content, name), note)


def _decoded(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # without "from": the exception would carry the secret's bytes
        what = f"the secret file '{name}' is not UTF-8 text"
        raise SecretUnavailable(what, hint="put one line of text there") from None
    return text.removesuffix("\n").removesuffix("\r")


def _unreadable(path: Path, what: str, fix: str) -> SpecError:
    return SpecError([Problem(Source(str(path), 1), what, fix)])
