"""Clients chat through real edges and a real broker."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import ClientSession
from socketio.exceptions import ConnectionError as RefusedConnection

from edge_server import another_log
from runtime import log_reader, metrics
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
            await member.disconnect()


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
            await listener.disconnect()
        await speaker.disconnect()


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


async def test_a_client_that_reconnects_with_since_gets_exactly_what_it_missed(log: Log) -> None:
    group = new_group()
    async with edge() as one, edge() as two:
        speaker = await ready(log, group, ChatClient(new_up()), one)
        listener = await ready(log, group, ChatClient(new_up()), one)
        witness = await ready(log, group, ChatClient(new_up()), two)
        await speaker.say(group, "seen")
        await listener.got("seen")
        await listener.disconnect()
        acks = [await speaker.say(group, text) for text in ("a", "b", "c")]
        await witness.heard("c")
        again = ChatClient(listener.up)
        await again.connect(two, since={group: listener.messages[-1]["seq"]})
        await again.got("a", "b", "c")
        assert again.joined[group] == {"head": acks[-1]["seq"], "recovered": True, "missed": 3}
        await speaker.say(group, "live")
        await again.got("a", "b", "c", "live")
        await witness.disconnect()
        await again.disconnect()
        await speaker.disconnect()


async def test_a_client_whose_membership_comes_late_to_its_new_edge_misses_nothing(log: Log) -> None:
    group, late = new_group(), new_up()
    async with edge() as one:
        speaker = await ready(log, group, ChatClient(new_up()), one)
        first = await speaker.say(group, "seen")
        for text in ("a", "b"):
            await speaker.say(group, text)
        resuming = await ChatClient(late).connect(one, since={group: first["seq"]})
        await log.join(group, late)
        await resuming.got("a", "b")
        assert (resuming.joined[group]["recovered"], resuming.joined[group]["missed"]) == (True, 2)
        await resuming.disconnect()
        await speaker.disconnect()


async def test_a_cursor_of_another_log_is_told_that_there_is_a_hole(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(another_log, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(log_reader, "PROGRESS_CHECK_S", 1.0)
    group = new_group()
    async with edge() as one:
        speaker = await ready(log, group, ChatClient(new_up()), one)
        head = (await speaker.say(group, "newest"))["seq"]
        lost = ChatClient(speaker.up)
        await lost.connect(one, since={group: head + 50})
        await eventually("it is told", lambda: not lost.joined.get(group, {"recovered": True})["recovered"])
        await speaker.say(group, "live")
        await lost.got("live")
        await lost.disconnect()
        await speaker.disconnect()


async def test_a_cursor_that_the_window_no_longer_reaches_is_told_that_there_is_a_hole(log: Log) -> None:
    group = new_group()
    async with edge(window_records=5) as one:
        speaker = await ready(log, group, ChatClient(new_up()), one)
        first = await speaker.say(group, "0")
        for n in range(1, 10):
            await speaker.say(group, str(n))
        hole = await speaker.call("join room", {"up": speaker.up, "room": group, "since": first["seq"]})
        assert (hole["recovered"], hole["missed"]) == (False, 0)
        near = await speaker.call("join room", {"up": speaker.up, "room": group, "since": hole["head"] - 2})
        assert (near["recovered"], near["missed"]) == (True, 2)
        await speaker.disconnect()


@pytest.mark.parametrize("ahead", [1, 7])
async def test_a_cursor_ahead_of_this_edge_gets_only_what_is_newer(log: Log, ahead: int) -> None:
    group = new_group()
    async with edge() as one:
        speaker = await ready(log, group, ChatClient(new_up()), one, transports=["websocket"])
        head = (await speaker.say(group, "first"))["seq"]
        listener = ChatClient(new_up())
        await log.join(group, listener.up)
        await listener.connect(one, since={group: head + ahead})
        await eventually("joined", lambda: group in listener.joined)
        for n in range(1, ahead + 3):
            await speaker.say(group, str(n))
        await listener.got(str(ahead + 1), str(ahead + 2))
        await listener.disconnect()
        await speaker.disconnect()


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
        await here.disconnect()
        await there.disconnect()


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
        await guest.disconnect()
        await speaker.disconnect()


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
        await phone.disconnect()
        await laptop.disconnect()


REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("chat message", {"message": "x", "room": "FOREIGN", "timestamp": 1}, "not_a_member"),
    ("join room", {"room": "FOREIGN"}, "not_a_member"),
    ("leave room", {"room": "FOREIGN"}, "not_a_member"),
    ("chat message", {"message": "x", "up": "up000000000", "room": "MINE", "timestamp": 1}, "up_mismatch"),
    ("online", {"up": "up000000000"}, "up_mismatch"),
    ("join room", {"up": "up000000000", "room": "MINE"}, "up_mismatch"),
    ("chat message", {"message": "x" * 1_048_576, "room": "MINE", "timestamp": 1}, "too_large"),
    ("chat message", {"message": "é" * 8_193, "room": "MINE", "timestamp": 1}, "too_large"),
    ("chat message", {"message": "x", "room": "MINE"}, "invalid_payload"),
    ("chat message", {"message": 7, "room": "MINE", "timestamp": 1}, "invalid_payload"),
    ("chat message", {"message": "x", "room": "$where", "timestamp": 1}, "invalid_payload"),
    ("join room", {"room": {"$ne": 1}}, "invalid_payload"),
    ("shout", {}, "unknown_event"),
]


@pytest.mark.filterwarnings("ignore:Sending a large body")  # the client library's own, about 1 MB
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_what_is_wrong_gets_a_named_error_and_nobody_else_notices(log: Log, transport: str) -> None:
    mine = new_group()
    async with edge(ping_interval_s=1) as one:
        other = await ready(log, mine, ChatClient(new_up()), one)
        client = await ready(log, mine, ChatClient(new_up()), one, transports=[transport])
        for event, payload, code in REFUSALS:
            room = mine if payload.get("room") == "MINE" else payload.get("room")
            answer = await client.call(event, {"up": client.up, **payload, "room": room})
            assert answer["error"]["code"] == code, (event, payload)
            assert set(answer["error"]) >= {"code", "message", "request_id"}
        nothings: list[Any] = [None, [], "text", 7]
        for nothing in nothings:
            assert (await client.call("chat message", nothing))["error"]["code"] == "invalid_payload"
        assert (await client.say(mine, "still here"))["seq"] >= 0
        await other.got("still here")
        await client.disconnect()
        await other.disconnect()


@pytest.mark.filterwarnings("ignore:Sending a large body")
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_who_asks_for_no_ack_is_told_what_is_refused_all_the_same(log: Log, transport: str) -> None:
    mine = new_group()
    async with edge(ping_interval_s=1) as one:
        client = await ready(log, mine, ChatClient(new_up()), one, transports=[transport])
        for event, payload, _ in REFUSALS:
            room = mine if payload.get("room") == "MINE" else payload.get("room")
            await client.emit(event, {"up": client.up, **payload, "room": room})
        await client.emit("chat message", {"up": client.up, "room": mine, "message": "taken", "timestamp": 1})
        await client.got("taken")
        await eventually("all refusals", lambda: len(client.refused) >= len(REFUSALS))
        assert sorted(body["code"] for body in client.refused) == sorted(code for *_, code in REFUSALS)
        assert all(set(body) >= {"code", "message", "request_id"} for body in client.refused)
        await client.disconnect()


async def test_frames_that_cannot_be_read_get_a_named_error(log: Log) -> None:
    mine = new_group()
    async with edge() as one:
        client = await ready(log, mine, ChatClient(new_up()), one, transports=["websocket"])
        for frame in ('42["chat message",{"message":', "42nonsense", '42{"a":1}', "4", "49", '451-["x"]'):
            await client.send_raw(frame)
        await eventually("refusals", lambda: len(client.refused) >= 5)
        assert {body["code"] for body in client.refused} <= {"bad_json", "invalid_payload"}
        assert (await client.say(mine, "still here"))["seq"] >= 0
        await client.disconnect()


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ({"token": "nonsense"}, "invalid_token"),
        ({"token": token("up202000001", expires_in_s=-10)}, "expired_token"),
        ({"token": token("up202000001", secret="another-secret-0123456789abcdef-0123")}, "invalid_token"),
        ({"token": token("root")}, "invalid_token"),
        ({"other": 1}, "missing_token"),
        ({"token": token("up202000001"), "since": {"$bad": 1}}, "invalid_payload"),
        ({"token": token("up202000001"), "since": {"g": "1"}}, "invalid_payload"),
    ],
)
async def test_a_bad_handshake_gets_a_named_error(backing: object, auth: object, code: str) -> None:
    async with edge() as one:
        client = ChatClient(new_up())
        with pytest.raises(RefusedConnection):
            await client.connect(one, auth=auth)
        assert client.connect_error["data"]["code"] == code


async def test_a_client_is_told_and_closed_when_its_token_expires(log: Log) -> None:
    group = new_group()
    async with edge() as one:
        stays = await ready(log, group, ChatClient(new_up()), one)
        client = ChatClient(new_up())
        await client.connect(one, auth={"token": token(client.up, expires_in_s=2)})
        await eventually("closed", lambda: client.disconnects == 1)
        assert [body["code"] for body in client.refused] == ["expired_token"]
        assert stays.disconnects == 0
        await stays.disconnect()


async def test_a_full_edge_refuses_politely(log: Log) -> None:
    async with edge(edge_capacity=1) as one, AsyncExitStack() as stack:
        first = await ChatClient(new_up()).connect(one)
        stack.push_async_callback(first.disconnect)
        second = ChatClient(new_up())
        hits = metrics.LIMIT_HITS.labels(limit="clients")._value
        refusals = metrics.REFUSALS.labels(code="overloaded")._value
        before, refused = hits.get(), refusals.get()
        with pytest.raises(RefusedConnection):
            await second.connect(one)
        assert second.connect_error["data"]["code"] == "overloaded"
        assert (hits.get(), refusals.get()) == (before + 1, refused)
