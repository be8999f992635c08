"""A student as a program keeps its cursors, resumes from them, and repeats itself until it is acked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from loadtest import chat_client
from loadtest.chat_client import ChatClient
from loadtest.connection import ConnectRefusedError
from loadtest.outbox import Outbox, Outgoing
from loadtest.seen_frames import SeenFrames
from schemas.client_events import CHAT_MESSAGE, JOINED, LEFT, MOVE, ChatMessage, SendMessageOk
from tests.unit.loadtest.plain_edge import PlainEdge, running_edge
from tests.waiting import eventually

UP = "up201906045"
DEADLINE_S = 20.0


def chat(seq: int, room: str = "leic") -> dict[str, Any]:
    return {
        "id": f"m{seq}", "seq": seq, "room": room, "up": UP,
        "message": "olá", "timestamp": 2, "sentAt": 1,
    }  # fmt: skip


def joined(head: int, *, missed: int = 0, recovered: bool = True) -> dict[str, Any]:
    return {"head": head, "missed": missed, "recovered": recovered}


@asynccontextmanager
async def student(edge: PlainEdge) -> AsyncIterator[ChatClient]:
    client = ChatClient(
        UP, "a token", locate=edge.locate, seen=SeenFrames(), outbox=Outbox(retry_after_s=0.01)
    )

    async def is_let_in() -> None:
        # The plain edge lets a student in after it has said where that student is.
        await client.joined.wait()
        await client.connected.wait()

    running = asyncio.create_task(client.run())
    try:
        await asyncio.wait(
            {running, asyncio.create_task(is_let_in())},
            timeout=DEADLINE_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        yield client
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_it_connects_with_its_token_and_takes_its_cursors_from_joined() -> None:
    async with running_edge() as edge:
        edge.joined = {"leic": joined(41), "empty": joined(-1)}
        async with student(edge) as client:
            assert edge.auths == [{"token": "a token", "since": {}}]
            assert client.cursors == {"leic": 41, "empty": -1}


async def test_after_a_lost_connection_it_resumes_from_the_last_message_it_got() -> None:
    async with running_edge() as edge:
        edge.joined = {"leic": joined(41)}
        async with student(edge) as client:
            got: list[ChatMessage] = []
            client.on_chat = got.append
            for seq in (42, 45):
                await edge.emit(CHAT_MESSAGE, chat(seq))
            await eventually("both have come", lambda: len(got) == 2)
            edge.joined = {"leic": joined(50, missed=2)}
            client.drop_connection()
            await eventually("it is back", lambda: len(edge.auths) == 2 and client.joined.is_set())
            assert edge.auths[1]["since"] == {"leic": 45}
            assert client.cursors == {"leic": 45}, "the missed messages have yet to come"
            assert client.holes == []


@pytest.mark.parametrize("shown", [True, False])
async def test_it_says_that_it_is_online_on_each_connection_where_it_is_told_to(shown: bool) -> None:
    async with running_edge() as edge, student(edge) as client:
        client.shows_online = shown
        for connections in (2, 3):
            client.drop_connection()
            await eventually("it is back", lambda connections=connections: client.connections == connections)  # type: ignore[misc]
        client.post("leic", "olá", message_id="m", sent_at=1)
        await eventually("the message is said", lambda: bool(edge.got))
        assert edge.online == (edge.sids[1:] if shown else [])


async def test_a_hole_is_never_silent() -> None:
    async with running_edge() as edge:
        edge.joined = {"leic": joined(41)}
        async with student(edge) as client:
            edge.joined = {"leic": joined(90, recovered=False)}
            client.drop_connection()
            await eventually("it knows of the hole", lambda: len(client.holes) == 1)
            assert client.holes == [("leic", 41, 90)]
            assert client.cursors == {"leic": 90}


async def test_a_message_is_said_again_under_its_id_until_it_is_acked() -> None:
    async with running_edge() as edge:

        def answer(payload: dict[str, Any]) -> dict[str, Any]:
            if len(edge.got) < 3:
                return {"error": {"code": "unavailable", "message": "", "request_id": "r"}}
            return {"id": payload["id"], "seq": 7, "timestamp": 9}

        edge.answer = answer
        async with student(edge) as client:
            acks: list[tuple[Outgoing, SendMessageOk]] = []
            client.on_acked = lambda message, ok: acks.append((message, ok))
            client.post("leic", "olá", message_id="m1", sent_at=1)
            await eventually("it is acked", lambda: bool(acks))
        assert [got["id"] for got in edge.got] == ["m1", "m1", "m1"]
        assert [(message.id, ok.seq) for message, ok in acks] == [("m1", 7)]


async def test_a_message_under_way_when_the_connection_is_lost_is_said_again_on_the_next() -> None:
    async with running_edge() as edge:

        def never_heard(_payload: dict[str, Any]) -> dict[str, Any]:
            edge.answer = lambda _: {"id": "m1", "seq": 1, "timestamp": 1}
            client.drop_connection()
            return {"id": "m1", "seq": 1, "timestamp": 1}

        edge.answer = never_heard
        async with student(edge) as client:
            client.post("leic", "olá", message_id="m1", sent_at=1)
            await eventually("nothing waits", lambda: len(client.outbox) == 0)
        assert [got["id"] for got in edge.got] == ["m1", "m1"]


async def test_a_final_refusal_is_told_and_not_repeated() -> None:
    async with running_edge() as edge:
        edge.answer = lambda _: {"error": {"code": "not_a_member", "message": ""}}
        async with student(edge) as client:
            refused: list[str] = []
            client.on_refused = lambda _, code: refused.append(code)
            client.post("other", "olá", message_id="m1", sent_at=1)
            await eventually("it is refused", lambda: bool(refused))
            assert refused == ["not_a_member"]
            assert len(edge.got) == 1
            assert len(client.outbox) == 0


async def test_a_move_is_followed_with_the_cursors() -> None:
    async with running_edge() as old, running_edge() as new:
        old.joined = {"leic": joined(41)}
        async with student(old) as client:
            await old.emit(MOVE, {"url": new.url, "reason": "drain", "within_s": 5})
            await eventually("it is at the new edge", lambda: bool(new.auths) and client.joined.is_set())
            assert new.auths[0]["since"] == {"leic": 41}


async def test_a_room_that_was_left_is_not_resumed() -> None:
    async with running_edge() as edge:
        edge.joined = {"leic": joined(1), "meic": joined(2)}
        async with student(edge) as client:
            await edge.emit(LEFT, {"room": "leic"})
            await eventually("it has left", lambda: client.cursors == {"meic": 2})


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        (JOINED, {"nothing": 1}),
        (JOINED, None),
        (JOINED, {"rooms": {"leic": {"head": "the first", "missed": 0, "recovered": True}}}),
        (LEFT, {}),
        (MOVE, ["x"]),
        (CHAT_MESSAGE, {"x": 1}),
    ],
)
async def test_an_edge_that_is_not_understood_is_left_with_the_reason_and_connected_to_again(
    name: str, payload: Any
) -> None:
    async with running_edge() as edge:
        edge.joined = {"leic": joined(41)}
        async with student(edge) as client:
            assert client.not_understood == []
            await edge.emit(name, payload)
            await eventually("it is back", lambda: client.connections == 2 and client.joined.is_set())
            assert client.lost_because == f"not understood: {client.not_understood[0]}"
            assert client.cursors == {"leic": 41}


@pytest.mark.parametrize("wrong", [{"error": "nope"}, {"error": {"code": []}}, {"id": "m1"}, {}])
async def test_an_ack_that_is_not_understood_is_none_and_the_message_is_said_again(
    wrong: dict[str, Any],
) -> None:
    async with running_edge() as edge:

        def answer(payload: dict[str, Any]) -> dict[str, Any]:
            return wrong if len(edge.got) == 1 else {"id": payload["id"], "seq": 7, "timestamp": 9}

        edge.answer = answer
        async with student(edge) as client:
            acked: list[int] = []
            client.on_acked = lambda _, ok: acked.append(ok.seq)
            client.post("leic", "olá", message_id="m1", sent_at=1)
            await eventually("it is acked", lambda: acked == [7])
            assert len(client.not_understood) == 1


async def test_a_refused_token_is_final() -> None:
    async with running_edge() as edge:
        edge.refuse = {"code": "expired_token", "message": "no"}
        client = ChatClient(UP, "old", locate=edge.locate, seen=SeenFrames())
        with pytest.raises(ConnectRefusedError) as raised:
            await asyncio.wait_for(client.run(), DEADLINE_S)
        assert raised.value.code == "expired_token"


async def test_it_waits_for_an_edge_that_is_not_there_yet() -> None:
    async with running_edge() as edge:
        tries = []

        async def locate(_token: str) -> str:
            tries.append(1)
            if len(tries) < 3:
                raise ConnectionRefusedError("nobody there")
            return edge.url

        edge.locate = locate  # type: ignore[method-assign]
        async with student(edge) as client:
            assert client.connected.is_set()
        assert len(tries) == 3


async def test_it_tries_again_however_often_it_was_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_client, "RECONNECT_MOST_S", 0.0)
    tries = count()

    async def locate(_: str) -> str:
        next(tries)
        raise ConnectionError("an outage of more than an hour")

    running = asyncio.create_task(ChatClient(UP, "a token", locate=locate, seen=SeenFrames()).run())
    await eventually("it has tried often", lambda: running.done() or next(tries) > 2000)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
