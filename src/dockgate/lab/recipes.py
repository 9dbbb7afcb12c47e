"""What our images are made of: bases from Debian, and the Dockerfiles of images/ on top.

Role: data, and the keys that tell whether an image must be built again. Reads the Dockerfiles, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dockgate.lab import cache
from dockgate.lab.apt import AptSetup
from dockgate.lab.rootfs import HOST, Recipe


@dataclass(frozen=True)
class Base:
    """A base image imported under its public name; made from the first suite that has what the recipe asks for.
    `version_of` is the package whose version the images built on it are labelled with."""

    tag: str
    choices: tuple[Recipe, ...]
    version_of: str | None = None

    def key(self, setup: AptSetup) -> str:
        """The key in the cache."""
        return cache.key(self.tag, *(recipe.key(setup) for recipe in self.choices))


@dataclass(frozen=True)
class Image:
    """One of our images: its tag, the directory of its Dockerfile below images/, and its base."""

    tag: str
    directory: str
    base: Base

    def key(self, setup: AptSetup, dockerfiles: Path) -> str:
        """The key in the cache: it changes with the Dockerfile, any file beside it, or the base."""
        return cache.key(self.tag, cache.tree_key(dockerfiles / self.directory), self.base.key(setup))


def _haproxy(version: str, *suites: str) -> Base:
    return Base(
        tag=f"haproxy:{version}",
        choices=tuple(
            Recipe(name=f"haproxy-{version}", suite=suite, packages=(f"haproxy={version}.*", "socat"))
            for suite in suites
        ),
        version_of="haproxy",
    )


SLIM = Base(tag="debian:trixie-slim", choices=(Recipe(name="slim", suite="trixie", packages=(), variant="minbase"),))
HAPROXY_32 = _haproxy("3.2", "forky", "sid")
HAPROXY_30 = _haproxy("3.0", "trixie")

IMAGES = (
    Image("dockgate/haproxy:3.2-1", "haproxy", HAPROXY_32),
    Image("dockgate/haproxy:3.0-1", "haproxy", HAPROXY_30),
    Image("dockgate/node:3", "node", SLIM),
    Image("dockgate/waf:1", "waf", SLIM),
    Image("dockgate/web:1", "web", SLIM),
)
"""The images every host of the lab has."""

BASES = (HAPROXY_32, HAPROXY_30, SLIM)


def wanted(setup: AptSetup, dockerfiles: Path) -> dict[str, str]:
    """The key of each image by its tag, and of the host's file system, as they should be now."""
    return {image.tag: image.key(setup, dockerfiles) + HOST.key(setup) for image in IMAGES}
