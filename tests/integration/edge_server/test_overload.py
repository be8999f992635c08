"""Floods are shed, those who keep the rules go on, and service is back by itself (P10)."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from socketio.exceptions import ConnectionError as RefusedConnection

from runtime import metrics
from tests.counting import counting
from tests.integration.backing import Log, new_group, new_up, token
from tests.integration.edge_server.abusers import OPEN, POLL, raw, tcp
from tests.integration.edge_server.edges import ChatClient, Edge, edge
from tests.waiting import eventually

MESSAGES = 40


def hits(*limits: str) -> Callable[[], float]:
    """Count how often any of these limits is reached from now on."""
    return counting(*(metrics.LIMIT_HITS.labels(limit=limit) for limit in limits))


def message(group: str, up: str, number: int) -> str:
    """Return the frame of a chat message that asks for an ack."""
    payload = {"message": str(number), "up": up, "room": group, "timestamp": number}
    return f"42{number}" + json.dumps(["chat message", payload])


class Conversation:
    """Two members who keep the rules, and what they must see whatever others do."""

    def __init__(self, group: str, speaker: ChatClient, listener: ChatClient) -> None:
        self.group = group
        self._speaker = speaker
        self._listener = listener
        self._said = 0

    async def goes_on(self, what: str) -> None:
        """Say some messages, one after the other: all are acked, and heard once and in order."""
        waits = []
        for _ in range(MESSAGES):
            started = time.perf_counter()
            ack = await self._speaker.say(self.group, str(self._said), id=f"m{self._said}")
            waits.append(time.perf_counter() - started)
            assert "error" not in ack, ack
            self._said += 1
        await self._listener.got(*(str(n) for n in range(self._said)))
        p99_ms = sorted(waits)[int(0.99 * len(waits))] * 1000
        print(f"{what}: {len(waits)} messages, p99 {p99_ms:.0f} ms")


@asynccontextmanager
async def conversation(log: Log, here: Edge) -> AsyncIterator[Conversation]:
    """Let two members talk."""
    group, speaker, listener = new_group(), ChatClient(new_up()), ChatClient(new_up())
    await log.join(group, speaker.up, listener.up)
    for client in (speaker, listener):
        await client.connect(here, transports=["websocket"])
    await eventually("both are in the room", lambda: group in speaker.joined and group in listener.joined)
    yield Conversation(group, speaker, listener)


async def test_who_floods_is_told_to_wait_and_who_waits_is_served_again(log: Log) -> None:
    async with (
        edge(events_per_s_per_client=20, events_burst_per_client=30) as here,
        conversation(log, here) as others,
        raw(here, up := new_up()) as flooder,
    ):
        await flooder.send(*(f'42{n}["online",{{"up":"{up}"}}]' for n in range(40)))
        await flooder.has_acks(40)
        refused = [ack["error"] for ack in flooder.acks() if "error" in ack]
        assert refused
        assert {(error["code"], error["retry_after"]) for error in refused} == {("rate_limited", 1)}
        await others.goes_on("after one client's burst")
        await asyncio.sleep(refused[0]["retry_after"])
        await flooder.send(f'4299["online",{{"up":"{up}"}}]')
        await eventually("it is served again", lambda: flooder.acks()[-1] == {"ok": True})


@pytest.mark.parametrize("frame", ['421["online",{}]', "42", "4{", '42["nothing"]', "451-[]"])
async def test_a_storm_of_any_events_closes_the_connection_that_goes_on_with_it(log: Log, frame: str) -> None:
    """Whichever comes first: its frames are counted as they come, events in their turn."""
    reached = hits("events", "frames")
    async with (
        edge(events_per_s_per_client=1, events_burst_per_client=50) as here,
        conversation(log, here) as others,
        raw(here, new_up()) as flooder,
    ):
        with suppress(aiohttp.ClientError, ConnectionError):
            while not flooder.is_closed:
                await flooder.send(*[frame] * 20)
                await asyncio.sleep(0)
        await others.goes_on(f"during a storm of {frame}")
    assert reached() > 0


async def test_one_user_has_one_budget_of_messages_however_many_connections(log: Log) -> None:
    group, up = new_group(), new_up()
    await log.join(group, up)
    async with (
        edge(messages_per_s_per_user=0.01, messages_burst_per_user=10) as here,
        raw(here, up) as one,
        raw(here, up) as two,
    ):
        for client in (one, two):
            await client.joins(group)
            await client.send(*(message(group, up, n) for n in range(10)))
        await one.has_acks(10)
        await two.has_acks(10)
        acks = [*one.acks(), *two.acks()]
        assert sum("error" not in ack for ack in acks) == 10
        assert {ack["error"]["code"] for ack in acks if "error" in ack} == {"rate_limited"}


async def test_a_flood_of_messages_by_many_leaves_the_others_their_service(log: Log) -> None:
    group = new_group()
    ups = [new_up() for _ in range(20)]
    await log.join(group, *ups)
    async with (
        # Only the budget may refuse: 2 000 messages at once wait for a busy broker, too.
        edge(
            messages_per_s_per_user=5,
            messages_burst_per_user=100,
            send_timeout_ms=60_000,
            refuse_when_waiting_ms=60_000,
        ) as here,
        AsyncExitStack() as stack,
    ):
        others = await stack.enter_async_context(conversation(log, here))
        flooders = [await stack.enter_async_context(raw(here, up)) for up in ups]
        for flooder in flooders:
            await flooder.joins(group)

        async def flood() -> None:
            await asyncio.gather(
                *(
                    flooder.send(*(message(group, up, n) for n in range(200)))
                    for flooder, up in zip(flooders, ups, strict=True)
                )
            )

        flooding = asyncio.create_task(flood())
        await others.goes_on("during a flood by 20 clients")
        await flooding
        for flooder in flooders:
            await flooder.has_acks(200)
            assert sum("error" not in ack for ack in flooder.acks()) >= 100
        await others.goes_on("after the flood")


async def test_connections_past_the_rate_are_told_to_wait_and_those_who_wait_get_in(log: Log) -> None:
    reached = hits("connects")
    async with (
        edge(connects_per_s=0.5, connects_burst=10) as here,
        conversation(log, here) as others,
        aiohttp.ClientSession() as session,
    ):

        async def gets_in() -> bool:
            return (await session.get(here.url + POLL)).status == 200

        answers = await asyncio.gather(*(session.get(here.url + POLL) for _ in range(60)))
        refused = [answer for answer in answers if answer.status == 503]
        assert len(refused) >= 40
        assert refused[0].headers["Retry-After"] == "1"
        assert (await refused[0].json())["error"]["code"] == "overloaded"
        await others.goes_on("after 60 connections at once")
        await eventually("one who waits gets in", gets_in)
    assert reached() >= 40


async def test_handshakes_that_never_end_are_closed_and_make_room(log: Log) -> None:
    reached = hits("slow handshakes")
    async with edge(max_handshakes=5, handshake_within_s=5.0) as here, AsyncExitStack() as stack:
        others = await stack.enter_async_context(conversation(log, here))
        stalled = [await stack.enter_async_context(raw(here)) for _ in range(5)]
        async with aiohttp.ClientSession() as session:
            assert (await session.get(here.url + POLL)).status == 503
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(here.url + OPEN)
        await others.goes_on("while handshakes stall")
        await eventually("the stalled are closed", lambda: all(one.is_closed for one in stalled))
        async with raw(here, new_up()) as late:
            await eventually("somebody else gets in", lambda: any(f.startswith("40") for f in late.frames))
    assert reached() >= 5


async def test_a_bad_token_does_not_buy_more_time(log: Log) -> None:
    async with edge(handshake_within_s=3.0) as here, raw(here) as liar:
        await liar.send("40" + json.dumps({"token": token(new_up(), secret="x" * 40)}))
        await eventually("it is refused", lambda: any(f.startswith("44") for f in liar.frames))
        await eventually("it is closed", lambda: liar.is_closed)


async def test_bodies_that_come_too_slowly_are_refused_and_bounded_in_number(log: Log) -> None:
    async with edge(max_bodies=6, body_within_s=5.0) as here, AsyncExitStack() as stack:
        others = await stack.enter_async_context(conversation(log, here))
        async with aiohttp.ClientSession() as session:

            async def new_post() -> str:
                opened = await (await session.get(here.url + POLL)).text()
                return f"{POLL}&sid={json.loads(opened[1:])['sid']}"

            async def one_more_is_refused() -> bool:
                # It closes its session where it is read before the slow ones are: not theirs.
                return (await session.post(here.url + await new_post(), data="1")).status == 503

            post = await new_post()
            slow = [await stack.enter_async_context(tcp(here)) for _ in range(3)]
            for _, writer in slow:
                writer.write(f"POST {post} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n4".encode())
            await eventually("one more is refused", one_more_is_refused)
        await others.goes_on("while bodies stall")
        for reader, _ in slow:
            assert b" 408 " in await reader.readline()


async def test_a_body_whose_sender_goes_in_the_middle_of_it_is_no_failure_of_ours(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    async with edge() as here, aiohttp.ClientSession() as session:
        sid = json.loads((await (await session.get(here.url + POLL)).text())[1:])["sid"]
        async with tcp(here) as (_, writer):
            writer.write(f"POST {POLL}&sid={sid} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n4".encode())
            await writer.drain()
        # Answered after the body's end has been noticed: connections are served in their order.
        assert (await session.get(here.url + POLL)).status == 200
        await asyncio.sleep(0)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_of_too_many_connections_of_a_user_the_oldest_is_told_and_closed(log: Log) -> None:
    up = new_up()
    async with edge(max_connections_per_user=2) as here, AsyncExitStack() as stack:
        reached = hits("connections of a user")
        oldest, *others = [await stack.enter_async_context(raw(here, up)) for _ in range(3)]
        await eventually("it is closed", lambda: oldest.is_closed)
        assert any("too_many_connections" in frame for frame in oldest.frames)
        assert reached() == 1
        assert not any(one.is_closed for one in others)
        assert here.connected() == 2


async def test_a_user_who_connects_all_the_time_is_told_to_wait_and_who_waits_gets_in(log: Log) -> None:
    group, up = new_group(), new_up()
    await log.join(group, up)
    few: dict[str, Any] = {"connects_burst_per_user": 3, "max_connections_per_user": 3}
    async with edge(connects_per_s_per_user=0.05, **few) as here:
        reached, opened = hits("connects of a user"), counting(metrics.CONNECTS)
        told: dict[str, Any] = {}
        while not told:
            client = ChatClient(up)
            with suppress(RefusedConnection):
                await client.connect(here)
            told = (client.connect_error or {}).get("data", {})
            await client.disconnect()
        assert told["code"] == "rate_limited"
        assert "url" not in told
        assert reached() == 1
        assert opened() >= 2
        await ChatClient(new_up()).connect(here)
        await asyncio.sleep(told["retry_after"])
        client = await ChatClient(up).connect(here)
        await eventually("in the room", lambda: group in client.joined)


async def test_a_huge_frame_closes_its_own_connection_alone(log: Log) -> None:
    async with edge(max_frame_bytes=131_072) as here, conversation(log, here) as others:
        async with raw(here, new_up()) as huge:
            await huge.send("4" + "x" * 1_000_000)
            await eventually("it is closed", lambda: huge.is_closed)
            assert huge.closed_with == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        await others.goes_on("after a huge frame")
