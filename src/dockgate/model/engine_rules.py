"""What a host's engine does in its kernel, as the node container sees it: one part of what is observed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineRules:
    """``iptables``: whether the engine is set to write rules, None when its settings could not be read. ``proxy``:
    whether it runs a userland proxy for each published port. ``masquerade``: whether it is set to masquerade what
    leaves its default bridge (both None as above). ``chains``: where rules of Docker's for published ports stand now,
    whoever left them there. ``forwarding``, ``forwarding6``: whether the kernel passes packets on, by family.
    """

    iptables: bool | None = True
    proxy: bool | None = True
    chains: tuple[str, ...] = ()
    forwarding: bool = True
    forwarding6: bool = False
    masquerade: bool | None = True

    @property
    def writes(self) -> bool:
        """Whether published ports are translated by rules of Docker's."""
        return bool(self.iptables) or bool(self.chains)
