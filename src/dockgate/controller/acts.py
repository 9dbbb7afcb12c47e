"""One function for each type of action: what it does to the world, in the engine's calls. Nothing is decided here.

Invariant: every type of ``Action`` stands in ``ACTS`` (a test holds that), and whatever is changed was seen to carry
our mark first. Each function returns a remark for a person, mostly none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from dockgate.controller import configs, prove, replacing, rules, swarm, tls, waf
from dockgate.controller.world import World
from dockgate.edges import node
from dockgate.edges.archive_format import chunks
from dockgate.errors import ActionFailed, NotFound
from dockgate.model.actions import (
    Action,
    ActivateConfig,
    Announce,
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DisconnectNetwork,
    LoadImage,
    Prove,
    ReloadConfig,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    RestoreConfig,
    SetServers,
    StartContainer,
    StopContainer,
    ValidateConfig,
    WriteConfig,
)
from dockgate.model.objects import is_ours, labels_for
from dockgate.model.replacing import (
    AddServer,
    AwaitHealthy,
    AwaitServer,
    CopyContainer,
    DrainServer,
    JudgeLoad,
    RemoveMember,
    RenameMember,
    StartMember,
    StopMember,
)
from dockgate.model.rules_actions import ApplyRules, KeepRules, ProveRules, RemoveRules, RevertRules
from dockgate.model.swarm_actions import (
    AwaitService,
    CreateService,
    PutSwarmFile,
    RemoveService,
    RemoveSwarmFile,
    RollBackService,
    UpdateService,
)
from dockgate.model.tls_actions import PutTlsFiles, RemoveTlsFiles
from dockgate.model.waf_actions import JudgeRules, ProveWaf, PutRules

Act: TypeAlias = Callable[[World, Any], Awaitable[str]]


async def act(world: World, action: Action) -> str:
    """Carry out one action; DockgateError when it did not succeed."""
    return await ACTS[type(action)](world, action)


async def _load_image(world: World, action: LoadImage) -> str:
    target = world.engine(action.host)
    if action.origin == "archive":
        await target.load_image(chunks(_archive(world, action)))
    elif action.origin == "build":
        await target.build_image(action.image, _recipe(world, action), _build_arguments(action.image))
    elif action.origin == "pull":
        await target.pull_image(action.image)
    else:
        async with world.engine(action.origin).save_image(action.image) as archive:
            await target.load_image(archive)
    if action.image not in await target.images():
        raise ActionFailed(
            f"{action.host}: an image was loaded, but it does not bring {action.image}",
            hint=f"the archive may hold another tag: docker -H … images on {action.host} shows what it brought",
        )
    return ""


def _archive(world: World, action: LoadImage) -> Any:
    try:
        return world.archives[action.image]
    except KeyError as error:
        raise ActionFailed(
            f"{action.host}: there is no archive of {action.image} here",
            hint="`dockgate lab up` makes archives of our images; or pull or build it on that host",
        ) from error


def _recipe(world: World, action: LoadImage) -> Any:
    """images/NAME for dockgate/NAME:TAG. Never for an image of another name: a build would take over its tag."""
    owner, _, name = action.image.partition(":")[0].rpartition("/")
    folder = world.recipes / name if world.recipes is not None and owner == "dockgate" else None
    if folder is None or not (folder / "Dockerfile").is_file():
        raise ActionFailed(
            f"{action.host}: there is no Dockerfile for {action.image} here",
            hint="run dockgate from a checkout, or bring the image to the host: docker save | docker load",
        )
    return folder


def _build_arguments(image: str) -> dict[str, str]:
    """The load balancer's image stands on the HAProxy version in its tag: dockgate/haproxy:3.0-1 on haproxy:3.0."""
    name, _, tag = image.rpartition("/")[2].partition(":")
    version = tag.partition("-")[0]
    return {"BASE": f"haproxy:{version}", "HAPROXY_VERSION": version} if name == "haproxy" else {}


async def _create_network(world: World, action: CreateNetwork) -> str:
    await world.engine(action.host).create_network(action.spec)
    return ""


async def _remove_network(world: World, action: RemoveNetwork) -> str:
    engine = world.engine(action.host)
    await engine.remove_network(action.id or await _network_of_ours(world, action), project=world.project)
    return ""


async def _network_of_ours(world: World, action: RemoveNetwork) -> str:
    """The id of a network that this very plan created, to take it back."""
    for network in await world.engine(action.host).networks():
        if network.name == action.name and is_ours(network.labels, world.project):
            return network.id
    raise NotFound(f"{action.host}: there is no network {action.name} of project {world.project!r} to remove")


async def _create_volume(world: World, action: CreateVolume) -> str:
    labels = labels_for(action.project, action.kind, action.owner)
    await world.engine(action.host).create_volume(action.name, labels)
    return ""


async def _remove_volume(world: World, action: RemoveVolume) -> str:
    await world.engine(action.host).remove_volume(action.name, project=world.project)
    return ""


async def _create_container(world: World, action: CreateContainer) -> str:
    await world.engine(action.host).create_container(action.spec)
    return ""


async def _start_container(world: World, action: StartContainer) -> str:
    container = await world.ours(action.host, action.container)
    await world.engine(action.host).start_container(container.id)
    return ""


async def _stop_container(world: World, action: StopContainer) -> str:
    container = await world.ours(action.host, action.container)
    await world.engine(action.host).stop_container(container.id, grace_s=action.grace_s)
    return ""


async def _remove_container(world: World, action: RemoveContainer) -> str:
    await world.engine(action.host).remove_container(action.id, project=world.project)
    return ""


async def _connect(world: World, action: ConnectNetwork) -> str:
    container = await world.ours(action.host, action.container)
    await world.engine(action.host).connect(container.id, action.network)
    return ""


async def _disconnect(world: World, action: DisconnectNetwork) -> str:
    container = await world.ours(action.host, action.container)
    await world.engine(action.host).disconnect(container.id, action.network)
    return ""


async def _announce(world: World, action: Announce) -> str:
    teller = await world.node(action.host)
    await node.announce(world.engine(action.host), teller.id, action.address)
    return ""


ACTS: dict[type[Action], Act] = {
    LoadImage: _load_image,
    CreateNetwork: _create_network,
    RemoveNetwork: _remove_network,
    CreateVolume: _create_volume,
    RemoveVolume: _remove_volume,
    CreateContainer: _create_container,
    StartContainer: _start_container,
    StopContainer: _stop_container,
    RemoveContainer: _remove_container,
    ConnectNetwork: _connect,
    DisconnectNetwork: _disconnect,
    WriteConfig: configs.write,
    PutTlsFiles: tls.put,
    RemoveTlsFiles: tls.remove,
    PutRules: waf.put,
    JudgeRules: waf.judge,
    ProveWaf: waf.prove,
    ValidateConfig: configs.validate,
    ActivateConfig: configs.activate,
    RestoreConfig: configs.restore,
    ReloadConfig: configs.reload,
    SetServers: configs.set_servers,
    Announce: _announce,
    Prove: prove.prove,
    CopyContainer: replacing.copy_container,
    StartMember: replacing.start_member,
    StopMember: replacing.stop_member,
    RenameMember: replacing.rename_member,
    RemoveMember: replacing.remove_member,
    AwaitHealthy: replacing.await_healthy,
    AddServer: replacing.add_server,
    AwaitServer: replacing.await_server,
    DrainServer: replacing.drain_server,
    JudgeLoad: replacing.judge_load,
    ApplyRules: rules.apply,
    ProveRules: rules.prove,
    KeepRules: rules.keep,
    RevertRules: rules.revert,
    RemoveRules: rules.remove,
    PutSwarmFile: swarm.put,
    RemoveSwarmFile: swarm.remove_file,
    CreateService: swarm.create,
    UpdateService: swarm.update,
    RollBackService: swarm.roll_back,
    RemoveService: swarm.remove,
    AwaitService: swarm.wait,
}
