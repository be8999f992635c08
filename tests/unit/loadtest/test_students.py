"""Students are connected together, and who cannot be is not waited for."""

import pytest

from loadtest.chat_client import ChatClient
from loadtest.connection import ConnectRefusedError
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from tests.unit.loadtest.plain_edge import running_edge

UPS = ("up000000001", "up000000002")


async def test_all_know_their_rooms_once_they_are_connected() -> None:
    told: list[None] = []
    async with running_edge() as edge:
        clients = [ChatClient(up, up, locate=edge.locate, seen=SeenFrames()) for up in UPS]
        async with Students(clients) as students:
            await students.connect(lambda: told.append(None))
            assert [client.joined.is_set() for client in clients] == [True, True]
            assert len(told) == students.began == 2
            students.check()


async def test_whoever_is_refused_for_good_ends_the_waiting_for_all() -> None:
    async def nowhere(_: str) -> str:
        raise OSError("there is no edge for now")

    async with running_edge() as edge:
        edge.refuse = {"code": "invalid_token"}
        waits = ChatClient(UPS[0], "a token", locate=nowhere, seen=SeenFrames())
        refused = ChatClient(UPS[1], "a token", locate=edge.locate, seen=SeenFrames())
        async with Students([waits, refused]) as students:
            with pytest.raises(ConnectRefusedError, match="invalid_token"):
                await students.connect()
            with pytest.raises(ConnectRefusedError, match="invalid_token"):
                students.check()
