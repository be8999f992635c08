"""The official JavaScript client, as an app's developer uses it, against the real system."""

import json
from typing import Any
from uuid import uuid4

import jwt
import pytest

from tests.integration.demo.system import Campus
from tests.integration.socketio_js.js_students import JsStudents

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(240)]

# One digit of each half of the circle: with two edges they live on different ones.
LOW, HIGH = "0", "9"


def new_up(last_digit: str = LOW) -> str:
    return f"up{uuid4().int % 10**8:08d}{last_digit}"


class Pair:
    """Two members of a group who live on different edges."""

    def __init__(self, campus: Campus, group: str, first: str, second: str) -> None:
        self.campus = campus
        self.group = group
        self.first = first
        self.second = second

    async def connect(self, node: JsStudents, up: str, **how: Any) -> Any:
        student = node.student(up)
        token = self.campus.system.mint_token(up)
        assert await student.connect(await self.campus.locate(up), token, **how) == {"connected": True}
        await student.until("its group is joined", lambda now: self.group in rooms(now))
        return student


def rooms(state: dict[str, Any]) -> dict[str, Any]:
    return {room: how for told in state["joined"] for room, how in told["rooms"].items()}


def seqs(state: dict[str, Any]) -> list[int]:
    return [message["seq"] for message in state["messages"]]


@pytest.fixture
async def pair(campus: Campus) -> Pair:
    first, second = new_up(LOW), new_up(HIGH)
    return Pair(campus, await campus.group(first, second), first, second)


async def test_by_default_it_begins_by_polling_and_upgrades_to_a_websocket(
    node: JsStudents, pair: Pair
) -> None:
    student = await pair.connect(node, pair.first)
    state = await student.until("upgraded", lambda now: now["transport"] == "websocket")
    assert state["openedBy"] == "polling"
    assert state["upgrades"] == ["websocket"]
    ack = await student.say(pair.group, "depois da mudança")
    assert await student.texts(1) == ["depois da mudança"]
    assert seqs(await student.state()) == [ack["seq"]]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_one_transport_alone_does(node: JsStudents, pair: Pair, transport: str) -> None:
    student = await pair.connect(node, pair.first, transports=[transport])
    other = await pair.connect(node, pair.second)
    await student.say(pair.group, "olá")
    await other.say(pair.group, "viva")
    assert await student.texts(2) == await other.texts(2) == ["olá", "viva"]
    state = await student.state()
    assert (state["openedBy"], state["transport"]) == (transport, transport)
    assert state["upgrades"] == []


async def test_students_on_different_edges_chat_in_one_order(node: JsStudents, pair: Pair) -> None:
    assert await pair.campus.locate(pair.first) != await pair.campus.locate(pair.second)
    ana, rui = await pair.connect(node, pair.first), await pair.connect(node, pair.second)
    acked = []
    for number in range(10):
        for student in (ana, rui):
            ack = await student.say(pair.group, f"{student.up} {number}", id=f"{student.up}-{number}")
            assert ack["id"] == f"{student.up}-{number}"
            acked.append(ack["seq"])
    for student in (ana, rui):
        await student.texts(20)
        assert seqs(await student.state()) == sorted(acked)


async def test_all_devices_of_a_student_get_what_one_of_them_says(node: JsStudents, pair: Pair) -> None:
    phone, laptop = await pair.connect(node, pair.first), await pair.connect(node, pair.first)
    await phone.say(pair.group, "do telemóvel")
    assert await phone.texts(1) == await laptop.texts(1) == ["do telemóvel"]


async def test_text_arrives_as_it_was_written(node: JsStudents, pair: Pair) -> None:
    ana, rui = await pair.connect(node, pair.first), await pair.connect(node, pair.second)
    written = ["", " ", "🎓 ção", '"\\\n\t\u0000', "</script>", "x" * 16_384]
    for text in written:
        assert "error" not in await ana.say(pair.group, text)
    assert await ana.texts(len(written)) == await rui.texts(len(written)) == written


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"], ["polling"]])
async def test_since_gives_exactly_what_was_missed_in_order_and_then_live_messages(
    node: JsStudents, pair: Pair, transports: list[str]
) -> None:
    ana, rui = await pair.connect(node, pair.first), await pair.connect(node, pair.second)
    seen = [await rui.say(pair.group, f"antes {n}") for n in range(3)]
    await ana.texts(3)
    await ana.disconnect()
    missed = [await rui.say(pair.group, f"entretanto {n}") for n in range(7)]

    back = await pair.connect(node, pair.first, since={pair.group: seen[-1]["seq"]}, transports=transports)
    live = [await rui.say(pair.group, f"depois {n}") for n in range(3)]
    await back.texts(10)
    state = await back.state()
    assert seqs(state) == [ack["seq"] for ack in missed + live]
    assert [message["message"] for message in state["messages"]] == [
        *(f"entretanto {n}" for n in range(7)),
        *(f"depois {n}" for n in range(3)),
    ]
    told = rooms(state)[pair.group]
    # What this edge had yet to read when the client came back, it got live.
    assert (told["recovered"], told["missed"]) == (True, sum(ack["seq"] <= told["head"] for ack in missed))


async def test_a_lost_connection_is_resumed_by_since_without_a_hole_or_a_double(
    node: JsStudents, pair: Pair
) -> None:
    ana = await pair.connect(node, pair.first, transports=["websocket"])
    rui = await pair.connect(node, pair.second)
    first = await rui.say(pair.group, "um")
    await ana.texts(1)
    await ana.lose_connection()
    second = await rui.say(pair.group, "dois")
    back = await pair.connect(node, pair.first, since={pair.group: first["seq"]})
    third = await rui.say(pair.group, "três")
    await back.texts(2)
    assert seqs(await back.state()) == [second["seq"], third["seq"]]


async def test_saying_the_same_id_again_makes_no_second_message(node: JsStudents, pair: Pair) -> None:
    ana, rui = await pair.connect(node, pair.first), await pair.connect(node, pair.second)
    acks = [await ana.say(pair.group, "uma vez", id="the-same") for _ in range(3)]
    assert len({ack["seq"] for ack in acks}) == 1
    await ana.say(pair.group, "fim")
    assert await ana.texts(2) == await rui.texts(2) == ["uma vez", "fim"]


def alg_none(up: str) -> str:
    return jwt.encode({"sub": up, "exp": 4_000_000_000}, "", "none")


def wrong_secret(up: str) -> str:
    return jwt.encode({"sub": up, "exp": 4_000_000_000}, "somebody-elses-secret-0123456789-0123456", "HS256")


@pytest.mark.parametrize("transports", [["websocket"], ["polling"]])
@pytest.mark.parametrize(
    ("token", "code"),
    [
        (wrong_secret, "invalid_token"),
        (alg_none, "invalid_token"),
        (lambda _: "not a token", "invalid_token"),
        (lambda _: "", "missing_token"),
    ],
    ids=["wrong secret", "alg none", "garbage", "empty"],
)
async def test_a_wrong_token_is_a_connect_error_with_its_code(
    node: JsStudents, pair: Pair, token: Any, code: str, transports: list[str]
) -> None:
    url = await pair.campus.locate(pair.first)
    refused = await node.student(pair.first).connect(url, token(pair.first), transports=transports)
    assert refused["connected"] is False
    assert refused["data"]["code"] == code
    assert refused["data"]["request_id"]
    assert refused["message"]


async def test_an_expired_token_is_a_connect_error_with_its_code(node: JsStudents, pair: Pair) -> None:
    token = pair.campus.system.mint_token(pair.first, lasts_s=-60)
    refused = await node.student(pair.first).connect(await pair.campus.locate(pair.first), token)
    assert refused["data"]["code"] == "expired_token"


async def test_what_is_refused_is_named_in_the_ack_and_nobody_else_notices(
    node: JsStudents, pair: Pair
) -> None:
    ana, rui = await pair.connect(node, pair.first), await pair.connect(node, pair.second)
    foreign = await pair.campus.group(new_up())
    whole = {"message": "olá", "up": ana.up, "room": pair.group, "timestamp": 1}
    wrong: list[tuple[str, Any, str]] = [
        ("chat message", {**whole, "room": foreign}, "not_a_member"),
        ("join room", {"up": ana.up, "room": foreign}, "not_a_member"),
        ("chat message", {**whole, "up": rui.up}, "up_mismatch"),
        ("online", {"up": rui.up}, "up_mismatch"),
        ("chat message", {**whole, "message": "x" * 16_385}, "too_large"),
        ("chat message", {**whole, "message": "x" * 1_000_000}, "too_large"),
        *(
            ("chat message", {key: value for key, value in whole.items() if key != absent}, "invalid_payload")
            for absent in whole
        ),
        ("chat message", {**whole, "timestamp": "yesterday"}, "invalid_payload"),
        ("chat message", {**whole, "room": "../../etc"}, "invalid_payload"),
        ("chat message", "just text", "invalid_payload"),
        ("chat message", None, "invalid_payload"),
        ("no such event", {}, "unknown_event"),
    ]
    for event, payload, code in wrong:
        ack = await ana.emit(event, payload)
        assert ack["error"]["code"] == code, (event, payload if len(str(payload)) < 200 else "long")
        assert ack["error"]["message"]
        assert ack["error"]["request_id"]
    assert "error" not in await ana.say(pair.group, "continuo aqui")
    assert await ana.texts(1) == await rui.texts(1) == ["continuo aqui"]


@pytest.mark.parametrize(
    "raw", ['42["chat message",{"message":', "42", '42{"not":"a list"}', "42[]", "42[1]", "garbage", "9", ""]
)
async def test_a_frame_that_is_no_event_is_answered_and_harms_nobody_else(
    node: JsStudents, pair: Pair, raw: str
) -> None:
    ana = await pair.connect(node, pair.first, transports=["websocket"])
    rui = await pair.connect(node, pair.second, transports=["websocket"])
    await ana.send_raw(raw)
    # Which of them, the edge's own tests say.
    await ana.until("told, or closed", lambda now: bool(now["refused"] or now["disconnects"]))
    await rui.say(pair.group, "ouvem-me?")
    assert await rui.texts(1) == ["ouvem-me?"]
    state = await rui.state()
    assert state["connected"]
    assert state["disconnects"] == []


async def test_bad_json_is_told_by_its_code(node: JsStudents, pair: Pair) -> None:
    ana = await pair.connect(node, pair.first, transports=["websocket"])
    await ana.send_raw('42["chat message",{"message":')
    state = await ana.until("told", lambda now: bool(now["refused"]))
    assert state["refused"][0]["code"] == "bad_json", json.dumps(state["refused"])
