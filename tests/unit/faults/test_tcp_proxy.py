"""The proxy passes bytes as they are, and makes the network as bad as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from deploy.local.ports import free_ports
from tests.faults.tcp_proxy import FROZEN, GOOD, Network, TcpProxy

PATIENCE_S = 30.0


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture
def ports() -> list[int]:
    return free_ports(2)


@asynccontextmanager
async def through_a_proxy(
    ports: list[int],
) -> AsyncIterator[tuple[TcpProxy, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection by a proxy to a server that sends back what it gets."""
    server = await asyncio.start_server(echo, "127.0.0.1", ports[0])
    with TcpProxy(f"127.0.0.1:{ports[0]}", ports[1]) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[1])
        try:
            yield proxy, reader, writer
        finally:
            writer.close()
            server.close()


async def test_bytes_pass_unchanged(ports: list[int]) -> None:
    async with through_a_proxy(ports) as (_, reader, writer):
        writer.write(bytes(range(256)) * 2_000)
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.readexactly(512_000) == bytes(range(256)) * 2_000


@pytest.mark.parametrize("network", [FROZEN, Network(passes_to=False), Network(passes_from=False)])
async def test_a_frozen_way_holds_bytes_back_and_gives_them_later(ports: list[int], network: Network) -> None:
    async with through_a_proxy(ports) as (proxy, reader, writer):
        proxy.network = network
        writer.write(b"held")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.readexactly(4)
        proxy.network = GOOD
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.readexactly(4) == b"held"


async def test_a_reset_is_seen_at_once(ports: list[int]) -> None:
    async with through_a_proxy(ports) as (proxy, reader, writer):
        writer.write(b"x")
        async with asyncio.timeout(PATIENCE_S):
            await reader.readexactly(1)
            proxy.reset_all()
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)


async def test_a_cut_sends_half_of_what_was_on_its_way(ports: list[int]) -> None:
    async with through_a_proxy(ports) as (proxy, reader, writer):
        proxy.network = Network(cuts=1.0)
        writer.write(b"0123456789")
        async with asyncio.timeout(PATIENCE_S):
            got = b""
            try:
                while chunk := await reader.read(100):
                    got += chunk
            except ConnectionError:
                pass
        assert got in (b"", b"01", b"012")
