"""Carrying TLS files to a load balancer: staged, live where its HAProxy has them, into place, listed.

In this order, so that being interrupted anywhere means doing it again: the list is what the planner sees, and it comes
last. When files go, the list comes first.
"""

from __future__ import annotations

from dockgate.controller.configs import in_volume
from dockgate.controller.world import World
from dockgate.edges import tls_files
from dockgate.errors import ActionFailed, DockgateError
from dockgate.model.tls_actions import PutTlsFiles, RemoveTlsFiles


async def put(world: World, action: PutTlsFiles) -> str:
    container = await world.ours(action.host, action.container, "lb")
    engine = world.engine(action.host)
    names = [file.name for file in action.files]
    await tls_files.stage(engine, container.id, {file.name: world.key_content(file) for file in action.files})
    try:
        for file in action.live:
            # One that it has not loaded yet is loaded by the reload that its configuration needs.
            await tls_files.commit(engine, container.id, file.name)
    except DockgateError:
        await in_volume(world, action.host, container, tls_files.staged_removal(names))
        raise
    await _done(world, action, tls_files.into_place(names))
    listed = dict(await tls_files.listed(engine, container.id))
    listed |= {file.name: file.digest for file in action.files}
    await tls_files.write_list(engine, container.id, listed)
    return ""


async def remove(world: World, action: RemoveTlsFiles) -> str:
    container = await world.ours(action.host, action.container, "lb")
    engine = world.engine(action.host)
    listed = dict(await tls_files.listed(engine, container.id))
    await _done(world, action, tls_files.removal(action.names))
    kept = {name: digest for name, digest in listed.items() if name not in action.names}
    await tls_files.write_list(engine, container.id, kept)
    return ""


async def _done(world: World, action: PutTlsFiles | RemoveTlsFiles, argv: list[str]) -> None:
    container = await world.ours(action.host, action.container, "lb")
    done = await in_volume(world, action.host, container, argv)
    if done.code != 0:
        raise ActionFailed(
            f"{action.host}: could not change the TLS files in {action.container}: {done.output}",
            hint=f"look at the volume of {action.container}",
        )
