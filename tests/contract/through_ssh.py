"""Run in the lab's client host by test_engine_real: each kind of call once, through ssh to docker2."""

from __future__ import annotations

import asyncio
import sys

from dockgate.edges.engine import Engine
from dockgate.model.desired import Images
from dockgate.model.objects import CONFIG_DIR, ContainerSpec, labels_for

PROJECT = "through-ssh"


async def main(url: str) -> None:
    async with Engine("docker2", url) as engine:
        print((await engine.info()).version.partition("+")[0])
        await engine.create_volume("through-ssh", labels_for(PROJECT, "config", "x"))
        spec = ContainerSpec(
            name="through-ssh",
            kind="node",
            image=Images().node,
            networks=("host",),
            config_volume="through-ssh",
            labels=labels_for(PROJECT, "node", "x"),
        )
        container = await engine.create_container(spec)
        try:
            await engine.start_container(container)
            result = await engine.exec(container, ["sh", "-c", "echo out; exit 3"])
            print(result.code, result.stdout.strip())
            await engine.put_files(container, CONFIG_DIR, {"big": b"x" * 3_000_000})
            assert len(await engine.get_file(container, f"{CONFIG_DIR}/big")) == 3_000_000
            runs = await asyncio.gather(*(engine.exec(container, ["true"]) for _ in range(30)))
            print("alive", max(run.code for run in runs))
        finally:
            await engine.remove_container(container, project=PROJECT)
            await engine.remove_volume("through-ssh", project=PROJECT)


asyncio.run(main(sys.argv[1]))
