"""A crowd of recorded students in groups of mixed sizes, that chat steadily while others disturb the system.

A seed decides who is in which group, and who says what when. The crowd settles, reads the store, and lets the
judge decide; it disturbs nothing itself.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp
from pydantic import SecretStr

from deploy.demo.fill import InternalApi
from deploy.demo.university import PlannedGroup, Student
from loadtest.rest import RestApi
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from runtime.mongo import Store, StoreUnavailable, open_store
from runtime.settings import MongoSettings
from schemas import documents
from schemas.client_events import ChatMessage
from schemas.up_number import CIRCLE, up_at
from tests.faults.checker import check
from tests.faults.counterexample import report
from tests.faults.history import Membership
from tests.faults.recording import RecordedStudent, Recorder

NO_PROGRESS_S: Final = 90.0
"""What has not moved for so long will not move any more."""

POLL_S: Final = 0.05
QUIET_S: Final = 2.0
REMOVED_WITHIN_S: Final = 30.0
"""A removal is timed by tests of its own; here it must only happen, however busy the machine is."""


@dataclass(frozen=True)
class Size:
    """How large a crowd is: its students, its groups' sizes, and how many messages it says a second."""

    students: int
    groups: tuple[int, ...]
    messages_per_s: float


SMALL: Final = Size(60, (2, 2, 3, 3, 5, 8, 13, 21, 40, 60), 40.0)
LARGE: Final = Size(300, (2,) * 12 + (3,) * 8 + (5,) * 8 + (10,) * 8 + (30,) * 6 + (100,) * 2 + (300,), 60.0)


class Reachable(Protocol):
    """What a crowd must know of the system, whether it is this process's own or not."""

    @property
    def public_url(self) -> str: ...

    @property
    def internal_url(self) -> str: ...

    @property
    def service_token(self) -> str: ...

    @property
    def mongodb_uri(self) -> str: ...

    def mint_token(self, up: str) -> str: ...


class Crowd:
    """Students that are connected, and what they have seen. Made by `open_crowd`."""

    def __init__(
        self,
        groups: Sequence[PlannedGroup],
        students: Students,
        recorder: Recorder,
        store: Store,
        rng: random.Random,
        messages_per_s: float,
    ) -> None:
        self.groups = groups
        self.recorder = recorder
        self.by_up = {one.up: one for one in students.clients if isinstance(one, RecordedStudent)}
        self._students = students
        self._store = store
        self._rng = rng
        self._messages_per_s = messages_per_s
        self._run = f"{rng.getrandbits(40):010x}"
        # Small groups talk as much as large ones: most of what is said reaches few.
        self._weights = [1 / len(group.members) ** 0.5 for group in groups]

    async def until_in_all_rooms(self) -> None:
        """Memberships travel by the log: an edge may learn of some after their student has connected."""

        async def outside() -> int:
            return sum(
                group.id not in self.by_up[up].cursors for group in self.groups for up in group.members
            )

        await self._until_none_left(outside, "members who were not let in")

    async def chat(self) -> None:
        """Say something now and then, until cancelled."""
        while True:
            await asyncio.sleep(self._rng.expovariate(self._messages_per_s))
            (group,) = self._rng.choices(self.groups, self._weights)
            self.say(group, "x" * self._rng.choice([1, 20, 200, 2_000]))

    def say(self, group: PlannedGroup, text: str, up: str | None = None) -> str:
        """Let a member (any, or the one given) say something; return the message's id."""
        message_id = f"{self._run}-{len(self.recorder.said)}"
        self.by_up[up or self._rng.choice(group.members)].say(group.id, text, message_id)
        return message_id

    async def probe(self) -> float:
        """Return how long it takes from now until a new message of each of some groups is through.

        Through means acked, received by every member, and stored.
        """
        started = self.recorder.clock()
        groups = [self.groups[-1], *self._rng.sample(self.groups, 3)]
        probes = {self.say(group, "probe"): group for group in groups}
        while probes:
            for message_id, group in list(probes.items()):
                if await self._is_through(message_id, group):
                    del probes[message_id]
            if self.recorder.clock() - started > NO_PROGRESS_S:
                raise AssertionError(f"the system did not recover: {probes} are not through")
            await asyncio.sleep(POLL_S)
        return self.recorder.clock() - started

    def has_reached_all(self, message_id: str, group: PlannedGroup) -> bool:
        """Say whether a message is acked and has come to every member."""
        return message_id in self.recorder.acks and all(
            self.recorder.has_received(up, group.id, message_id) for up in group.members
        )

    async def _is_through(self, message_id: str, group: PlannedGroup) -> bool:
        if not self.has_reached_all(message_id, group):
            return False
        try:
            return bool(await self._store.find(documents.MESSAGES, {"group": group.id, "id": message_id}))
        except StoreUnavailable:
            return False

    @asynccontextmanager
    async def chatting(self) -> AsyncIterator[None]:
        """Chat for the length of the block."""
        chat = asyncio.create_task(self.chat())
        try:
            yield
        finally:
            chat.cancel()
            await asyncio.gather(chat, return_exceptions=True)

    async def until_acked(self) -> None:
        """Wait until everything that was said so far is acked."""
        said = {one.id for one in self.recorder.said}

        async def unacked() -> int:
            self._students.check()
            return len(said - self.recorder.acks.keys() - self.recorder.refused.keys())

        await self._until_none_left(unacked, "messages without an ack")

    def acks_ms(self, after: int) -> list[float]:
        """Return how long acks took, for what was said after so many messages and is acked."""
        acks = self.recorder.acks
        return [
            acks[one.id].at_s * 1000 - one.sent_at for one in self.recorder.said[after:] if one.id in acks
        ]

    async def until_nothing_is_acked(self) -> int:
        """Wait until no message is acked for a while; return how many were."""
        acked = -1
        while acked != len(self.recorder.acks):
            acked = len(self.recorder.acks)
            await asyncio.sleep(QUIET_S)
        return acked

    async def settle(self) -> None:
        """Wait until everything is acked, delivered and stored. Raises AssertionError where that ends."""

        await self.until_acked()
        last = {group: self.say(group, "last") for group in self.groups}
        await self.until_acked()
        seqs = {group: self.recorder.acks[message_id].seq for group, message_id in last.items()}

        async def behind() -> int:
            return sum(
                self.by_up[up].cursors.get(group.id, -1) < seq
                for group, seq in seqs.items()
                for up in group.members
            )

        await self._until_none_left(behind, "members without a group's last message")

        async def unstored() -> int:
            return len(last) - len(await self._stored({"id": {"$in": list(last.values())}}))

        await self._until_none_left(unstored, "last messages that are not stored")
        # Something that comes twice may come a moment after everything has come once.
        await asyncio.sleep(0.5)

    async def judge(self) -> str:
        """Settle and judge. Returns what was kept, in a line; raises AssertionError with what was broken."""
        await self.settle()
        assert not self.recorder.refused, f"refused for good: {self.recorder.refused}"
        memberships = [Membership(group.id, up, 0.0) for group in self.groups for up in group.members]
        # Group by group: an answer with all that was said in a long run would be too much at once.
        stored = [one for group in self.groups for one in await self._stored({"group": group.id})]
        history = self.recorder.history(memberships, stored)
        findings = check(history, removed_within_s=REMOVED_WITHIN_S)
        said = report(history, findings)
        assert not findings, said
        return said

    async def _stored(self, query: documents.Document) -> list[ChatMessage]:
        try:
            found = await self._store.find(documents.MESSAGES, query)
        except StoreUnavailable:
            return []
        return [_as_event(document) for document in found]

    async def _until_none_left(self, count: Callable[[], Awaitable[int]], what: str) -> None:
        left, moved_at = await count(), self.recorder.clock()
        while left:
            await asyncio.sleep(POLL_S)
            if (now := await count()) != left:
                left, moved_at = now, self.recorder.clock()
            elif self.recorder.clock() - moved_at > NO_PROGRESS_S:
                raise AssertionError(f"{left} {what}, and no progress")


@asynccontextmanager
async def open_crowd(
    system: Reachable,
    seed: int,
    size: Size = SMALL,
    *,
    locate: Callable[[RestApi], Callable[[str], Awaitable[str]]] = lambda api: api.locate,
) -> AsyncIterator[Crowd]:
    """Fill the system with a crowd's groups, and connect everybody for the length of the block."""
    rng = random.Random(seed)
    loop = asyncio.get_running_loop()
    started = loop.time()
    recorder = Recorder(lambda: loop.time() - started)
    ups = [up_at(point) for point in rng.sample(range(CIRCLE), size.students)]
    groups = [
        PlannedGroup(f"faults-{rng.getrandbits(48):012x}", "A crowd's group", tuple(rng.sample(ups, members)))
        for members in size.groups
    ]
    names = [Student(up, up, "Somebody") for up in ups]
    seen = SeenFrames()
    async with aiohttp.ClientSession() as session, open_store(mongo_settings(system)) as store:
        internal = InternalApi(session, system.internal_url, system.service_token)
        await internal.fill(groups, names)
        find = locate(RestApi(session, system.public_url))
        clients = [
            RecordedStudent(up, system.mint_token(up), locate=find, seen=seen, recorder=recorder)
            for up in ups
        ]
        async with Students(clients) as students:
            await students.connect()
            crowd = Crowd(groups, students, recorder, store, rng, size.messages_per_s)
            await crowd.until_in_all_rooms()
            yield crowd


def mongo_settings(system: Reachable) -> MongoSettings:
    """Return where a system's store is."""
    return MongoSettings(mongodb_uri=SecretStr(system.mongodb_uri))


def _as_event(document: documents.Document) -> ChatMessage:
    fields = {name: value for name, value in document.items() if name not in ("_id", "group")}
    return ChatMessage.model_validate({**fields, "room": document["group"]})
