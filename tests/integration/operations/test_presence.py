"""An edge is killed and runs again under its name: who came back is online, and who did not is not."""

import asyncio
from pathlib import Path

import pytest

from loadtest.chat_client import ChatClient
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from tests.integration.backing import new_up
from tests.integration.demo.system import Campus, open_campus, running_system
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(300)]


async def who_is_online(campus: Campus, group: str, asks: ChatClient) -> dict[str, bool]:
    """Return what a student is shown of the members of a group."""
    async with campus.session.get(
        f"{campus.system.public_url}/chat/group/{group}/member",
        headers={"Authorization": f"Bearer {asks.token}"},
    ) as answer:
        return {user["up"]: user["online"] for user in (await answer.json())["users"]}


async def test_who_does_not_come_back_to_an_edge_that_was_killed_and_runs_again_is_not_online(
    tmp_path: Path,
) -> None:
    with running_system(tmp_path, edges=1) as system:
        async with open_campus(system) as campus:
            seen = SeenFrames()
            stays, goes = (
                ChatClient(up, system.mint_token(up), locate=campus.api.locate, seen=seen)
                for up in (new_up(), new_up())
            )
            stays.shows_online = goes.shows_online = True
            group = await campus.group(stays.up, goes.up)

            async def shown(*, online: bool) -> bool:
                expected = {stays.up: True, goes.up: online}
                return await who_is_online(campus, group, stays) == expected

            async with Students([stays]) as staying:
                async with Students([goes]) as going:
                    await staying.connect()
                    await going.connect()
                    await eventually("both are online", lambda: shown(online=True))
                    (edge,) = system.edges
                    await asyncio.to_thread(edge.kill)
                await asyncio.to_thread(edge.start)
                await eventually("only who came back is online", lambda: shown(online=False))
                assert stays.connections == 2
