"""Clients chat through real edges and a real broker."""

import asyncio
import json

import pytest
from aiohttp import ClientSession

from runtime import metrics
from tests.integration.backing import Log, new_group, new_up, token
from tests.integration.edge_server.edges import ChatClient, edge, ready
from tests.unit.edge_server.gated_edge import Poller
from tests.waiting import eventually


async def test_a_message_reaches_every_member_on_every_edge_once_and_in_one_order(log: Log) -> None:
    group = new_group()
    async with edge() as one, edge(ping_interval_s=1) as two:
        members = [
            await ready(log, group, ChatClient(new_up()), one, transports=["websocket"]),
            await ready(log, group, ChatClient(new_up()), two, transports=["websocket"]),
            await ready(log, group, ChatClient(new_up()), two, transports=["polling"]),
            await ready(log, group, ChatClient(new_up()), one),
        ]
        acks = await asyncio.gather(
            *(member.say(group, f"{n}-{i}") for i in range(50) for n, member in enumerate(members))
        )
        for member in members:
            await member.has(200)
        in_order = sorted(acks, key=lambda ack: ack["seq"])
        for member in members:
            assert [m["seq"] for m in member.messages] == [ack["seq"] for ack in in_order]
            assert [m["id"] for m in member.messages] == [ack["id"] for ack in in_order]
            assert [m["timestamp"] for m in member.messages] == [ack["timestamp"] for ack in in_order]


async def test_a_client_that_upgrades_while_messages_flow_misses_and_doubles_nothing(log: Log) -> None:
    group = new_group()
    async with edge() as one:
        speaker = await ready(log, group, ChatClient(new_up()), one, transports=["websocket"])
        listeners = [ChatClient(new_up()) for _ in range(10)]
        await log.join(group, *(listener.up for listener in listeners))
        talking = asyncio.create_task(_talk(speaker, group, 300))
        await asyncio.gather(*(listener.connect(one) for listener in listeners))
        await talking
        for listener in listeners:
            await listener.heard("299")
            assert listener.transport == "websocket"
            first = int(listener.texts[0])
            assert listener.texts == [str(n) for n in range(first, 300)]
            assert listener.messages[0]["seq"] == listener.joined[group]["head"] + 1


@pytest.mark.parametrize("let_in", ["before", "after"])
async def test_who_comes_over_is_served_by_its_websocket_from_then_on(log: Log, let_in: str) -> None:
    direct = metrics.CONNECTIONS.labels(transport="websocket")._value
    group, up = new_group(), new_up()
    await log.join(group, up)
    hello = "40" + json.dumps({"token": token(up)})
    async with edge() as one, ClientSession() as session:
        poller = Poller(session, one.url + "/socket.io/")
        await poller.hello(join=False)
        before = direct.get()
        if let_in == "before":
            await poller.say(hello)
            while "joined" not in await poller.poll():
                pass
        socket = await poller.upgraded()
        if let_in == "after":
            await socket.send_str(hello)
            while "joined" not in await socket.receive_str():
                pass
        await eventually("it is direct", lambda: direct.get() == before + 1)
        sent = {"message": "olá", "up": up, "room": group, "timestamp": 1}
        await socket.send_str("421" + json.dumps(["chat message", sent]))
        heard = [await socket.receive_str() for _ in range(2)]
        assert sorted(text[:3] for text in heard) == ["42[", "431"]
        await socket.close()
        await eventually("it is gone", lambda: direct.get() == before)


async def _talk(speaker: ChatClient, group: str, count: int) -> None:
    for n in range(count):
        await speaker.say(group, str(n))


async def test_the_same_id_again_makes_no_second_message_on_any_edge(log: Log) -> None:
    group = new_group()
    async with edge() as one, edge() as two:
        here = await ready(log, group, ChatClient(new_up()), one)
        there = await ready(log, group, ChatClient(here.up), two)
        acks = await asyncio.gather(
            *(client.say(group, "once", id="retry-1") for _ in range(5) for client in (here, there))
        )
        assert all(ack == acks[0] for ack in acks)
        await here.say(group, "end")
        await here.got("once", "end")
        await there.got("once", "end")


async def test_a_new_member_hears_at_once_and_a_removed_one_no_more(log: Log) -> None:
    group = new_group()
    async with edge() as one:
        speaker = await ready(log, group, ChatClient(new_up()), one)
        guest = await ready(log, new_group(), ChatClient(new_up()), one)
        await log.join(group, guest.up)
        await eventually("the guest is told", lambda: group in guest.joined)
        await speaker.say(group, "welcome")
        await guest.got("welcome")
        await log.leave(group, guest.up)
        await eventually("the guest is told to go", lambda: guest.left == [group])
        await speaker.say(group, "gone?")
        assert (await guest.say(group, "hello?"))["error"]["code"] == "not_a_member"
        await guest.got("welcome")


async def test_leaving_a_room_stops_its_messages_on_this_connection_only(log: Log) -> None:
    group = new_group()
    async with edge() as one:
        phone = await ready(log, group, ChatClient(new_up()), one)
        laptop = await ready(log, group, ChatClient(phone.up), one)
        assert await phone.call("leave room", {"up": phone.up, "room": group}) == {"ok": True}
        await laptop.say(group, "only here")
        await laptop.got("only here")
        again = await phone.call("join room", {"up": phone.up, "room": group})
        assert again["ok"]
        await laptop.say(group, "both")
        await laptop.got("only here", "both")
        await phone.got("both")
