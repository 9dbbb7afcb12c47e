"""What a VIP had on a host beside its load balancers goes once."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.scene import desired
from tests.worlds import bare_world, with_container

from dockgate.model.actions import RemoveVolume
from dockgate.model.objects import labels_for
from dockgate.model.observed import Container, ObservedHost, Volume
from dockgate.plan import names
from dockgate.plan.planner import plan


def test_two_load_balancers_of_a_vip_that_is_gone_leave_one_volume_of_sockets() -> None:
    """Killed between two ports, an `up` leaves two of them, and the next one removed the volume twice and failed."""
    wanted = desired()
    vip = wanted.vips[0]
    gone = replace(wanted, vips=())
    world = bare_world(wanted)
    host = vip.hosts[0]
    for digest in ("aaaaaaaa", "bbbbbbbb"):
        name = names.container(wanted.project, vip.name, digest)
        labels = labels_for(wanted.project, "lb", vip.name, digest)
        world = with_container(world, host, Container(digest * 8, name, wanted.images.haproxy, "running", labels))
    seen = world.host(host)
    assert isinstance(seen, ObservedHost)
    sockets = names.sockets_volume(wanted.project, vip.name)
    volume = Volume(sockets, labels_for(wanted.project, "sockets", vip.name, ""))
    world = replace(
        world, hosts=tuple((n, replace(seen, volumes=(volume,)) if n == host else h) for n, h in world.hosts)
    )
    removed = [step.action.name for step in plan(gone, world).steps if isinstance(step.action, RemoveVolume)]
    assert removed.count(sockets) == 1, removed
