"""Secrets: where they come from, and the one form in which a password leaves this package: a crypt(3) hash.

The value itself is read through ``ReadSecret`` (the edge), hashed, and forgotten. The salt is made of public names
only, so that the same input gives the same bytes and nothing about the password can be learned from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol

from passlib.hash import sha512_crypt

from dockgate.errors import DockgateError

ROUNDS = 5000
"""HAProxy computes the hash on every request to the statistics page."""

MOST_CHARACTERS = 512
_SALT_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class SecretUnavailable(DockgateError):
    """A secret could not be read. ``what`` and ``hint`` never hold any of its value."""


@dataclass(frozen=True)
class SecretText:
    """A secret's value, and a note about the place it was read from ("" when there is nothing to say)."""

    value: str
    note: str = ""

    def __repr__(self) -> str:
        return "SecretText(…)"


class ReadSecret(Protocol):
    """Reads a secret; raises ``SecretUnavailable``. ``name``: a path relative to the file's folder, or a variable."""

    def __call__(self, kind: Literal["file", "env"], name: str) -> SecretText: ...


def password_hash(password: str, *, project: str, vip: str, user: str) -> str:
    """A crypt(3) SHA-512 hash with a salt that depends on the three names only."""
    digest = hashlib.sha256("\0".join((project, vip, user)).encode()).digest()
    salt = "".join(_SALT_ALPHABET[byte % 64] for byte in digest[:16])
    return str(sha512_crypt.using(salt=salt, rounds=ROUNDS).hash(password))


def fault_of(password: str) -> str:
    """Why this cannot be a password, in words that do not hold it; "" if it can."""
    if not password:
        return "is empty"
    if len(password) > MOST_CHARACTERS:
        return f"has more than {MOST_CHARACTERS} characters"
    if not password.isprintable():
        return "holds line breaks or control characters"
    return ""
