"""What a controller tells about certificates, in Prometheus' words."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.scene import PROJECT, desired

from dockgate.controller.keep import Keeper
from dockgate.controller.metrics import figures
from dockgate.controller.world import World
from dockgate.model.desired import Listen
from dockgate.model.tls import Tls, TlsFile


async def test_each_certificate_tells_when_it_expires() -> None:
    file = TlsFile("certificate-a.pem", "d", ('keys/"a".crt', "keys/a.key"), expires=1_900_000_000)
    wanted = desired()
    vip = replace(wanted.vips[0], listens=(Listen(443, pool="pres", tls=Tls((file,))),))
    keeper = Keeper(
        replace(wanted, vips=(vip,)), World(PROJECT, {}), {}, tell=lambda cycle: None, note=lambda text: None
    )
    lines = [line for line in figures(keeper) if "certificate" in line]
    assert lines == [
        "# TYPE dockgate_certificate_expires_seconds gauge",
        'dockgate_certificate_expires_seconds{vip="web",file="keys/\\"a\\".crt"} 1900000000',
    ]
