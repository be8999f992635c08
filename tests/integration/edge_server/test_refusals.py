"""What an edge refuses has a name, reaches who asked for it, and disturbs nobody else."""

from typing import Any

import pytest
from socketio.exceptions import ConnectionError as RefusedConnection

from runtime import metrics
from tests.counting import counting
from tests.integration.backing import Log, new_group, new_up, token
from tests.integration.edge_server.edges import ChatClient, edge, ready
from tests.waiting import eventually

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


async def test_frames_that_cannot_be_read_get_a_named_error(log: Log) -> None:
    mine = new_group()
    async with edge() as one:
        client = await ready(log, mine, ChatClient(new_up()), one, transports=["websocket"])
        for frame in ('42["chat message",{"message":', "42nonsense", '42{"a":1}', "4", "49", '451-["x"]'):
            await client.send_raw(frame)
        await eventually("refusals", lambda: len(client.refused) >= 5)
        assert {body["code"] for body in client.refused} <= {"bad_json", "invalid_payload"}
        assert (await client.say(mine, "still here"))["seq"] >= 0


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ({"token": "nonsense"}, "invalid_token"),
        ({"token": token("up202000001", expires_in_s=-10)}, "expired_token"),
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


async def test_a_full_edge_refuses_politely(log: Log) -> None:
    async with edge(edge_capacity=1) as one:
        await ChatClient(new_up()).connect(one)
        second = ChatClient(new_up())
        hits = counting(metrics.LIMIT_HITS.labels(limit="clients"))
        refusals = counting(metrics.REFUSALS.labels(code="overloaded"))
        with pytest.raises(RefusedConnection):
            await second.connect(one)
        assert second.connect_error["data"]["code"] == "overloaded"
        assert (hits(), refusals()) == (1, 0)
