"""A student's client that keeps the rules of docs/connect-a-client.md, on a bad network.

What it shows its user is what counts: a hole is read from history before what came live after it is shown.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import orjson

from schemas.client_events import CHAT_MESSAGE, ChatMessage
from schemas.refusals import OVERLOADED, Refused
from tests.faults import history as seen
from tests.simulation.chance import Chance
from tests.simulation.process import Process
from tests.simulation.simulated_edge import Connection, SimulatedEdge
from tests.simulation.simulated_services import SimulatedGateway

RETRY_S: Final = 0.3
SENT_TWICE: Final = 0.1
IMPATIENT: Final = 0.2
FINAL: Final = frozenset({"not_a_member"})


class SimulatedClient:
    """One client of one student. It is never killed: what it has seen is what is judged."""

    def __init__(
        self,
        up: str,
        name: str,
        chance: Chance,
        *,
        gateways: Callable[[], SimulatedGateway | None],
        edges: Callable[[str], SimulatedEdge | None],
    ) -> None:
        self.up = up
        self.name = name
        self.process = Process(name, chance, lambda _: None)
        self.cursors: dict[str, int] = {}
        self.sights: dict[str, seen.Sight] = {}
        self.acks: list[seen.Acked] = []
        self.outbox: dict[str, seen.Said] = {}
        """What is not acked yet, by id."""
        self.sends: dict[int, tuple[str, float]] = {}
        """Which id was sent when, by the number of its ack: retries too."""
        self.refused_at_once: set[int] = set()
        """The sends that were refused with the promise that nothing was written."""
        self.refusals: Counter[str] = Counter()
        """How many sends were refused for the time being, by code."""
        self.faults: list[str] = []
        self.holes_read = 0
        self._knows_rooms = False
        """Whether the edge has said, on this connection, which rooms the student is in."""
        self._gateways = gateways
        self._edges = edges
        self._away_s = 0.0
        self._moved_to: str | None = None
        self._out: set[str] = set()
        """Rooms that the student is out of, with a cursor from before."""
        self._waiting: dict[int, str] = {}
        self._numbers = count(1)
        self._connections = count(1)
        self._holes: dict[str, deque[ChatMessage]] = {}
        """Rooms whose history is being read, with what came live meanwhile."""
        self._connection: Connection | None = None
        self._at = seen.Connection(0, "")
        self._lost = asyncio.Event()

    @property
    def edge(self) -> str:
        """The edge that it is connected to, or was last."""
        return self._at.edge

    def unsettled(self) -> str | None:
        """Say what this client still waits for; None when nothing."""
        if self._connection is None or self._connection.to_client.cut or not self._knows_rooms:
            return "a connection"
        if self._connection.to_client.under_way or self._holes:
            return "what it has missed"
        return f"acks of {list(self.outbox)}" if self.outbox else None

    def unanswered(self) -> list[str]:
        """Name what was sent on the connection that is there, and has got no answer."""
        waiting = [] if self._connection is None else self._waiting.values()
        return [f"P10 {self.name} gets no answer to {message_id}" for message_id in waiting]

    def say(self, said: seen.Said) -> None:
        """Say something: it is sent, and sent again, until it is acked."""
        self.outbox[said.id] = said
        self._send(said)
        if self.process.chance.random.random() < SENT_TWICE:
            self._send(said)

    def drop(self, *, away_s: float = 0.0) -> None:
        """Lose the connection, and stay away for a while."""
        self._away_s = away_s
        if self._connection is not None:
            self._connection.cut()

    async def run(self) -> None:
        """Stay connected, for ever."""
        while True:
            self._lost.clear()
            if await self._connect():
                await self._lost.wait()
            self._knows_rooms = False
            away_s, self._away_s = self._away_s, 0.0
            await asyncio.sleep(away_s + self.process.chance.random.uniform(0.05, RETRY_S))

    async def _connect(self) -> bool:
        url, self._moved_to = self._moved_to or await self._locate(), None
        edge = None if url is None else self._edges(url)
        if edge is None:
            return False
        self._at = seen.Connection(next(self._connections), edge.process.name)
        self._waiting.clear()
        self._holes.clear()
        connection = Connection(self.process, self._take, self._on_lost)
        if not await edge.connect(connection, {"token": self.up, "since": dict(self.cursors)}):
            return False
        self._connection = connection
        for said in tuple(self.outbox.values()):
            self._send(said)
        return True

    async def _locate(self) -> str | None:
        gateway = self._gateways()
        try:
            async with asyncio.timeout(2.0):
                return None if gateway is None else await gateway.locate(self.up)
        except (Refused, TimeoutError):
            return None

    def _on_lost(self) -> None:
        self._connection = None
        self._lost.set()

    def _send(self, said: seen.Said) -> None:
        if self._connection is None:
            return
        number = next(self._numbers)
        self._waiting[number] = said.id
        self.sends[number] = said.id, asyncio.get_running_loop().time()
        payload = {
            "message": said.text, "up": said.up, "room": said.group, "timestamp": said.sent_at, "id": said.id,
        }  # fmt: skip
        self._connection.to_edge.send(f"42{number}{orjson.dumps([CHAT_MESSAGE, payload]).decode()}")

    def _send_again(self, message_id: str) -> None:
        if message_id in self.outbox:
            self._send(self.outbox[message_id])

    def _take(self, text: str) -> None:
        if text.startswith("42"):
            name, payload = orjson.loads(text[2:])
            getattr(self, f"_on_{name.replace(' ', '_')}")(payload)
        elif text.startswith("43"):
            number, _, body = text[2:].partition("[")
            (answer,) = orjson.loads("[" + body)
            self._on_answer(int(number), answer)

    def _on_answer(self, number: int, answer: Any) -> None:
        message_id = self._waiting.pop(number, None)
        if message_id is None:
            self.faults.append(f"{answer} answers a send that was answered before")
            return
        if "error" not in answer:
            at = asyncio.get_running_loop().time()
            self.acks.append(seen.Acked(answer["id"], answer["seq"], answer["timestamp"], self._at, at))
            self.outbox.pop(message_id, None)
        elif answer["error"]["code"] in FINAL:
            self.outbox.pop(message_id, None)
        else:
            if answer["error"]["code"] == OVERLOADED.code:
                self.refused_at_once.add(number)
            self._on_refusal(message_id, answer["error"])

    def _on_refusal(self, message_id: str, error: Any) -> None:
        """Try again when the refusal says so; some students do so sooner."""
        code, retry_after = error["code"], error.get("retry_after", RETRY_S)
        self.refusals[code] += 1
        pause = RETRY_S if self.process.chance.random.random() < IMPATIENT else retry_after
        asyncio.get_running_loop().call_later(pause, self._send_again, message_id)

    def _on_chat_message(self, payload: Any) -> None:
        message = ChatMessage.model_validate(payload)
        if message.room in self._holes:
            self._holes[message.room].append(message)
        else:
            self._show(message)

    def _show(self, message: ChatMessage) -> None:
        self.cursors[message.room] = message.seq
        self._note(message.room, seen.Received(message, self._at, asyncio.get_running_loop().time()))

    def _note(self, room: str, step: seen.Step) -> None:
        sight = self.sights.setdefault(room, seen.Sight(self.name, self.up, room))
        sight.steps.append(step)

    def _on_joined(self, payload: Any) -> None:
        if not self._knows_rooms:
            self._leave_silently(sorted(self.cursors.keys() - payload["rooms"].keys() - self._out))
        self._knows_rooms = True
        for room, state in payload["rooms"].items():
            cursor = self.cursors.get(room)
            if room in self._out and cursor is not None:
                # The edge was told of this cursor when connecting, and goes on from it.
                self._out.discard(room)
                self._note(room, seen.Joined(cursor, True, self._at, asyncio.get_running_loop().time()))
            if cursor is not None and not state["recovered"]:
                self._holes[room] = deque()
                self.process.spawn(self._read_hole(self._at, room, cursor, state["head"]))
                continue
            self._note(room, seen.Joined(state["head"], True, self._at, asyncio.get_running_loop().time()))
            if cursor is None or state["missed"] == 0:
                self.cursors[room] = max(state["head"], -1 if cursor is None else cursor)

    def _leave_silently(self, rooms: list[str]) -> None:
        """The student is no longer in these, and was not told: the connection was lost before."""
        for room in rooms:
            self._out.add(room)
            self._note(room, seen.Left(asyncio.get_running_loop().time()))

    def _on_left(self, payload: Any) -> None:
        self._out.discard(payload["room"])
        self.cursors.pop(payload["room"], None)
        self._holes.pop(payload["room"], None)
        self._note(payload["room"], seen.Left(asyncio.get_running_loop().time()))

    def _on_move(self, payload: Any) -> None:
        self._moved_to = payload["url"]
        self.drop()

    def _on_refused(self, _payload: Any) -> None:
        self.drop()

    async def _read_hole(self, at: seen.Connection, room: str, cursor: int, head: int) -> None:
        """Read what was missed over REST, as soon as history reaches so far."""
        while self._at is at and room in self._holes and self._connection is not None:
            gateway = self._gateways()
            try:
                async with asyncio.timeout(2.0):
                    page = {} if gateway is None else await gateway.history(room, cursor)
            except (Refused, TimeoutError):
                page = {}
            if self._at is at and room in self._holes and page.get("storedUpTo", -1) >= head:
                return self._close_hole(room, page["messages"], head)
            await asyncio.sleep(RETRY_S)
        return None

    def _close_hole(self, room: str, missed: list[Any], head: int) -> None:
        self.holes_read += 1
        for message in missed:
            if message["seq"] <= head:
                self._show(ChatMessage.model_validate(message))
        self.cursors[room] = max(self.cursors[room], head)
        for live in self._holes.pop(room):
            self._show(live)
