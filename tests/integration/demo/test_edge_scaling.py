"""The local runner starts an edge when one more is wanted, and drains and stops one when load falls."""

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest

from deploy.demo.edge_count import EdgeCount
from deploy.demo.edge_scaling import EdgeScaling
from deploy.demo.local_system import LocalSystem
from loadtest.chat_client import ChatClient
from loadtest.rest import RestApi
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from schemas.up_number import CIRCLE, up_at
from tests.integration.demo.system import running_system
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(240)]

CAPACITY = 12
STUDENTS = 22
"""Eleven on each of two edges: both are full then, and neither has room for the other's."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """Two small edges."""
    env = {"edge_server": {"EDGE_CAPACITY": str(CAPACITY)}}
    with running_system(tmp_path_factory.mktemp("scaling"), env=env) as opened:
        yield opened


async def test_a_real_edge_starts_when_all_are_full_and_one_stops_when_they_are_not(
    system: LocalSystem,
) -> None:
    async with aiohttp.ClientSession() as session:
        api, seen = RestApi(session, system.public_url), SeenFrames()
        clients = [
            ChatClient(up, system.mint_token(up), locate=api.locate, seen=seen)
            for up in (up_at(n * CIRCLE // STUDENTS) for n in range(STUDENTS))
        ]
        scaling = asyncio.create_task(EdgeScaling(system, session, EdgeCount(least=2, calm_s=1.0)).run())
        try:
            async with Students(clients) as students:
                await students.connect()
                await eventually("a third edge is named", lambda: "edge-3" in system.edge_urls)
                await asyncio.to_thread(system.wait_until_spread)
                urls = {await api.locate(client.token) for client in clients}
                assert urls == set(system.edge_urls.values())
                assert not scaling.done()
            await eventually("one edge is gone", lambda: len(system.edge_urls) == 2)
            await asyncio.to_thread(system.wait_until_spread)
            assert not scaling.done()
        finally:
            scaling.cancel()
            await asyncio.gather(scaling, return_exceptions=True)
