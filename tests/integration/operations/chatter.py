"""A little of everything that chat can be, for tests that look at what operators see of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from loadtest.chat_client import ChatClient
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from schemas.ids import new_id
from schemas.up_number import CIRCLE, up_at
from tests.integration.demo.system import Campus

STUDENTS: Final = 8
PAUSE_S: Final = 0.1


@asynccontextmanager
async def chatter(campus: Campus) -> AsyncIterator[asyncio.Task[None]]:
    """Let students of all edges talk, reconnect and read for the length of the block.

    Whoever waits in the block should look at the task now and then: it ends only with an error.
    """
    ups = [up_at(n * CIRCLE // STUDENTS) for n in range(STUDENTS)]
    group = await campus.group(*ups)
    tokens = {up: campus.system.mint_token(up) for up in ups}
    seen = SeenFrames()
    clients = [ChatClient(up, tokens[up], locate=campus.api.locate, seen=seen) for up in ups]
    async with Students(clients) as students:
        await students.connect()
        talking = asyncio.create_task(_talk(campus, group, students.clients))
        try:
            yield talking
        finally:
            talking.cancel()
            await asyncio.wait({talking})


async def _talk(campus: Campus, group: str, clients: list[ChatClient]) -> None:
    for number in range(10**9):
        client = clients[number % len(clients)]
        client.post(group, f"message {number}", message_id=new_id(), sent_at=0)
        if number % 10 == 9:
            clients[number % 3].drop_connection()
            await campus.api.page(group, client.token, after=-1)
            await campus.group(client.up)
        await asyncio.sleep(PAUSE_S)
