"""The short way and the ordinary one give the same acks and records."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import orjson
import pytest
import socketio
from hypothesis import example, given
from hypothesis import strategies as st

from edge_server.clients import Client
from edge_server.reading import Reading
from edge_server.recent_log import Entry
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from edge_server.socket_events import MAX_PAUSE_S, SocketEvents
from runtime import metrics
from runtime.memberships import Memberships
from runtime.tokens import Identity
from schemas.asyncapi import FROM_CLIENTS
from schemas.client_events import SendMessage
from schemas.refusals import OVERLOADED, RATE_LIMITED, UNAVAILABLE, Refused
from tests.counting import counting
from tests.simulation.simulated_loop import SimulatedLoop
from tests.unit.edge_server.transports import Transport
from tests.waiting import eventually

UP = "up202000001"


class Published:
    """Stands for the publisher: remembers what it was given, and answers as its turn says."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def publish(self, message_id: str, sent: SendMessage, tell: Callable[[Entry | Refused], None]) -> None:
        if sent.message == "overload":
            raise Refused(OVERLOADED)
        self.messages.append({**sent.model_dump(), "id": message_id if sent.id else None})
        seq = len(self.messages)
        tell(Refused(UNAVAILABLE) if sent.message == "late" else Entry("g", b"", 0, seq, 1000 + seq))


class Server:
    """Stands for the socket server: keeps the handlers."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}
        self.try_short_path: Callable[[Client, str], bool]

    def on(self, name: str, handler: Any) -> None:
        self.handlers[name] = handler


class Edge:
    """One way into an edge, with one client."""

    def __init__(self, **settings: Any) -> None:
        self.rooms, memberships = Rooms(), Memberships()
        memberships.set_member("g", UP, True)
        self.published = Published()
        self.server = Server()
        made, nothing = EdgeSettings(**settings), cast(Any, None)
        events = SocketEvents(
            made, self.rooms, memberships, nothing, cast(Any, self.published), nothing, nothing
        )
        events.start(cast(Any, self.server))
        self.client = Client("sid", Identity(UP, 0.0), None, max_bytes=10**6, max_packets=10)
        self.transport = Transport()
        self.reading = Reading(cast(Any, self.transport))
        self.rooms.add(self.client)

    def short(self, text: str) -> list[Any] | None:
        """Return the ack that was written; None where the text has to go the ordinary way."""
        self.client.transport = cast(Any, self.transport)
        self.client.reading = self.reading
        if not self.server.try_short_path(self.client, text):
            assert not self.transport.wire
            assert not self.published.messages
            return None
        (frame,) = self.transport.wire
        header = 2 if frame[1] < 126 else 4
        return ack_of(frame[header:].decode())

    async def ordinary(self, text: str) -> list[Any]:
        """Do what python-socketio does with a text."""
        packet = socketio.packet.Packet(encoded_packet=text[1:])
        answer = await self.server.handlers[packet.data[0]]("sid", *packet.data[1:])
        sent = socketio.packet.Packet(socketio.packet.ACK, data=[answer], id=packet.id)
        return ack_of("4" + sent.encode())


def ack_of(text: str) -> list[Any]:
    """Return an ack's number and payload, without what is new in each."""
    number = text.partition("[")[0]
    (payload,) = orjson.loads(text[len(number) :])
    if "error" in payload:
        assert payload["error"].pop("request_id")
    return [number, payload]


def test_every_event_that_clients_may_send_is_handled() -> None:
    documented = {event.name for event in FROM_CLIENTS} - {"connect"}
    assert Edge().server.handlers.keys() == documented | {"*"}, "SocketEvents.start registers each"


payloads: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {
            "message": st.one_of(st.text(max_size=50), st.sampled_from(["late", "overload", "é" * 8_193, 7])),
            "up": st.sampled_from([UP, UP.upper(), "up202000002", "root", None]),
            "room": st.sampled_from(["g", "foreign", "$where", 7]),
            "timestamp": st.one_of(st.integers(-1, 2**53 + 1), st.just("1")),
        },
        optional={"id": st.sampled_from(["m1", "a:b.c-d_e", "", "$", "x" * 64, "x" * 65, None, 1])},
    ),
    st.sampled_from([None, [], "text", 7, {}]),
)


def saying(message: str) -> dict[str, Any]:
    return {"message": message, "up": UP, "room": "g", "timestamp": 1}


def chat(payload: Any) -> str:
    return orjson.dumps(["chat message", payload]).decode()


@given(payloads, st.sampled_from(["0", "7", "123456789"]))
@example(saying("olá"), "0")
@example(saying("late"), "7")
@example(saying("overload"), "7")
async def test_both_ways_give_the_same_acks_and_the_same_records(payload: Any, number: str) -> None:
    text, short, ordinary = f"42{number}" + chat(payload), Edge(), Edge()
    acked = short.short(text)
    expected = await ordinary.ordinary(text)
    has_id = isinstance(payload, dict) and payload.get("id")
    if acked is not None and acked[1].get("id") and not has_id:
        assert acked[1].pop("id") != expected[1].pop("id")
    assert acked == expected
    assert short.published.messages == ordinary.published.messages
    assert short.client.unacked == ordinary.client.unacked == 0


@pytest.mark.parametrize(
    "text",
    [
        '42["chat message",{}]',
        '421["chat message"]',
        '421["chat message",{"message":]',
        '421["chat message",{}',
        '4201["chat message",{}]',
        '421234567890["chat message",{}]',
        '42/admin,1["chat message",{}]',
        '421["join room",{}]',
        '451-1["chat message",{"_placeholder":true,"num":0}]',
        '421 ["chat message",{}]',
        '42\u0661["chat message",{}]',
        "3",
        "41",
        "",
        '421["chat message",{"message":"' + "x" * 131_072 + '"}]',
        '421["chat message",{"message":"' + "€" * 43_691 + '"}]',
    ],
)
async def test_whatever_is_not_plainly_a_chat_message_that_asks_for_an_ack_goes_the_ordinary_way(
    text: str,
) -> None:
    assert Edge().short(text) is None


async def test_a_client_may_have_so_many_unacked_messages_on_both_ways_together() -> None:
    edge = Edge()
    edge.client.unacked = EdgeSettings().max_pending_sends_per_client
    text = "421" + chat(saying("m"))
    hits = counting(metrics.LIMIT_HITS.labels(limit="unacked messages of a connection"))
    assert edge.short(text) == await edge.ordinary(text)
    assert not edge.published.messages
    assert hits() == 2


async def test_what_comes_when_its_connection_is_closed_already_is_to_be_said_again() -> None:
    """Nobody has looked at it: a code that means "not like this" would make its client give it up."""
    edge = Edge()
    edge.rooms.remove(edge.client)
    edge.client.gone = True
    text = "421" + chat(saying("m"))
    assert edge.short(text) is None
    (_, answer) = await edge.ordinary(text)
    assert answer["error"]["code"] == RATE_LIMITED.code
    assert not edge.published.messages


async def test_who_was_told_to_wait_is_not_read_until_then_and_what_was_read_gets_the_same_answer() -> None:
    edge = Edge()
    edge.client.unacked = EdgeSettings().max_pending_sends_per_client
    text = "421" + chat(saying("m"))
    told = edge.short(text)
    assert edge.transport.paused
    edge.client.unacked = 0
    edge.transport.wire.clear()
    hits = counting(metrics.LIMIT_HITS.labels(limit="resting"))
    assert edge.short(text) == told
    assert hits() == 1
    assert not edge.published.messages
    await eventually("it is read again", lambda: not edge.transport.paused)
    edge.transport.wire.clear()
    edge.short(text)
    assert len(edge.published.messages) == 1


def test_who_was_told_to_wait_for_long_is_read_in_time_to_answer_a_ping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise Refused(RATE_LIMITED, retry_after_s=60)

    async def say_and_wait() -> list[bool]:
        edge, paused = Edge(), []
        monkeypatch.setattr(edge.published, "publish", refuse)
        edge.short("421" + chat(saying("hello")))
        for _ in range(2):
            await asyncio.sleep(MAX_PAUSE_S * 0.6)
            paused.append(edge.transport.paused)
        return paused

    loop = SimulatedLoop()
    assert loop.run_until_complete(say_and_wait()) == [True, False]
    loop.close()


@pytest.mark.parametrize("short", [False, True])
def test_who_waits_as_the_refusal_says_is_served(short: bool) -> None:
    """However deep in debt: what a client has sent before it hears of a refusal counts, too."""

    async def say_too_much_and_wait() -> None:
        edge = Edge(messages_per_s_per_user=2, messages_burst_per_user=20)
        text = "421" + chat(saying("hello"))
        answers = [(await edge.ordinary(text))[1] for _ in range(35)]
        retry_after = answers[-1]["error"]["retry_after"]
        await asyncio.sleep(retry_after - 1)
        assert "error" in (await edge.ordinary(text))[1]
        await asyncio.sleep(1 + 1 / 2)
        (_, answer) = (edge.short(text) if short else await edge.ordinary(text)) or []
        assert "error" not in answer

    loop = SimulatedLoop()
    loop.run_until_complete(say_too_much_and_wait())
    loop.close()


@pytest.mark.parametrize(("bytes_", "fit"), [(10, 20), (1_023, 20), (1_024, 10), (16_384, 1)])
async def test_a_long_message_counts_once_more_for_each_kib(bytes_: int, fit: int) -> None:
    """All edges keep texts for who comes back: one student could fill that, and others found holes."""
    edge = Edge(messages_per_s_per_user=0.001, messages_burst_per_user=20)
    text = chat(saying("x" * bytes_))
    for n in range(fit):
        assert "error" not in (await edge.ordinary(f"42{n}" + text))[1]
    assert (await edge.ordinary(f"42{fit}" + text))[1]["error"]["code"] == "rate_limited"


@pytest.mark.parametrize("short", [False, True])
async def test_who_may_not_say_something_long_is_told_when_that_fits(short: bool) -> None:
    edge = Edge(messages_per_s_per_user=0.001, messages_burst_per_user=20)
    await edge.ordinary("421" + chat(saying("hello")))
    text = "422" + chat(saying("x" * 16_384))
    await edge.ordinary(text)
    edge.published.messages.clear()
    (_, answer) = (edge.short(text) if short else await edge.ordinary(text)) or []
    # Of 20 there are 2, the refusal takes 2, and 17 are wanted.
    assert round(answer["error"]["retry_after"], -3) == 17_000


def test_a_budget_of_messages_keeps_the_loop_s_time() -> None:
    """A simulated run is its seed's alone: no real clock may refuse a message, or let one through."""

    async def codes() -> list[str | None]:
        edge, answers = Edge(messages_per_s_per_user=0.001, messages_burst_per_user=2), []
        for n, waits_s in enumerate((0, 0, 0, 2_000)):
            await asyncio.sleep(waits_s)
            answers.append((await edge.ordinary(f"42{n}" + chat(saying("hello"))))[1])
        return [answer.get("error", {}).get("code") for answer in answers]

    loop = SimulatedLoop()
    assert loop.run_until_complete(codes()) == [None, None, "rate_limited", None]
    loop.close()


@pytest.mark.parametrize("event", ["join room", "leave room"])
async def test_joining_and_leaving_are_a_user_s_to_spend_as_messages_are(event: str) -> None:
    edge = Edge(messages_per_s_per_user=0.001, messages_burst_per_user=3)
    text = orjson.dumps([event, {"up": UP, "room": "foreign"}]).decode()
    codes = [(await edge.ordinary(f"42{n}{text}"))[1]["error"]["code"] for n in range(5)]
    assert codes == ["not_a_member"] * 3 + ["rate_limited"] * 2


async def test_what_is_long_is_paid_before_it_is_parsed_whatever_it_is() -> None:
    """128 KiB of brackets take 2 ms: a thousand of them would keep everybody waiting."""
    edge = Edge(messages_per_s_per_user=0.001, messages_burst_per_user=200)
    brackets = '421["chat message",' + "[]," * 42_000 + "{}]"
    assert len(brackets) > 123 * 1_024
    codes = []
    for _ in range(2):
        edge.client.pause_refusal = None
        (_, answer) = edge.short(brackets) or []
        codes.append(answer["error"]["code"])
        edge.transport.wire.clear()
    assert codes == ["invalid_payload", "rate_limited"]
