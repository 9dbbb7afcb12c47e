"""What lasts on an engine, on the fake and on real Docker: events, a standing connection, and the lock."""

from __future__ import annotations

import asyncio

from tests.contract.conftest import Pair
from tests.contract.test_engine import start_balancer

from dockgate.controller.lease import LOCK
from dockgate.controller.wait import until
from dockgate.edges import haproxy_socket
from dockgate.edges.standing import standing


async def heard(pair: Pair, action: str, container: str) -> bool:
    """Do nothing but listen until the event is there."""
    async with asyncio.timeout(10), pair.first.events() as happening:
        await pair.first.stop_container(container, grace_s=1)
        async for event in happening:
            if (event.kind, event.action, event.id) == ("container", action, container):
                return True
    return False


async def test_who_follows_events_hears_an_order_to_stop(pair: Pair) -> None:
    assert await heard(pair, "kill", await start_balancer(pair))


async def test_who_follows_events_hears_of_a_death(pair: Pair) -> None:
    assert await heard(pair, "die", await start_balancer(pair))


async def test_reading_a_file_is_told_as_an_event(pair: Pair) -> None:
    container = await start_balancer(pair)
    async with asyncio.timeout(10), pair.first.events() as happening:
        await pair.first.get_file(container, "/etc/haproxy/haproxy.cfg")
        async for event in happening:
            if event.action == "archive-path":
                break


async def test_a_standing_connection_leads_to_the_process_that_runs(pair: Pair) -> None:
    container = await start_balancer(pair)
    async with standing(pair.first, container, name="contract-lb") as connection:
        assert await connection.pid() == (await haproxy_socket.running(pair.first, container)).pid


async def test_what_is_held_is_let_go_when_the_connection_ends(pair: Pair) -> None:
    container = await start_balancer(pair)
    async with standing(pair.first, container, name="contract-lb") as connection:
        await connection.ask("set server pres/web1 state ready")
        await connection.hold("pres/web1")
        await connection.ask("set server pres/web1 state drain")
        assert (await connection.servers("pres"))["web1"].admin & 8

    async def free() -> bool | None:
        async with standing(pair.first, container, name="contract-lb") as again:
            return None if (await again.servers("pres"))["web1"].admin & 8 else True

    assert await until(free, limit_s=10.0)


async def test_what_was_freed_is_left_as_it_is_when_the_connection_ends(pair: Pair) -> None:
    container = await start_balancer(pair)
    async with standing(pair.first, container, name="contract-lb") as connection:
        for server in ("pres/web1", "pres/web2"):
            await connection.ask(f"set server {server} state ready")
            await connection.hold(server)
            await connection.ask(f"set server {server} state drain")
        await connection.free("pres/web1")

    async def other_is_free() -> bool | None:
        async with standing(pair.first, container, name="contract-lb") as again:
            return None if (await again.servers("pres"))["web2"].admin & 8 else True

    assert await until(other_is_free, limit_s=10.0)
    async with standing(pair.first, container, name="contract-lb") as again:
        assert (await again.servers("pres"))["web1"].admin & 8


async def test_of_two_only_one_has_the_lock_and_it_falls_with_its_connection(pair: Pair) -> None:
    node = await pair.node()
    async with asyncio.timeout(20):
        async with pair.first.talk(node, LOCK) as one:
            assert "mine" in await one.receive()
            async with pair.first.talk(node, LOCK) as other:
                assert "taken" in await other.receive()

        async def mine() -> bool | None:
            async with pair.first.talk(node, LOCK) as next_one:
                return True if "mine" in await next_one.receive() else None

        assert await until(mine, limit_s=10.0)
