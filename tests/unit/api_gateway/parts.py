"""Stand-ins for the log and the store, and a gateway's groups put together from them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from api_gateway.bodies import Bodies
from api_gateway.group_directory import GroupDirectory
from api_gateway.groups import Groups
from api_gateway.internal_routes import InternalApi
from api_gateway.log_writer import WrittenRecord
from api_gateway.members import FormerMembers, MembersOnly, NewMembers
from api_gateway.public_routes import PublicApi
from api_gateway.reading_turns import ReadsOfUsers
from api_gateway.unread_answers import UnreadAnswers
from runtime.memberships import Memberships
from schemas import topics
from schemas.api import CreateGroup
from schemas.log_records import Encoded, MemberJoined
from schemas.refusals import NOT_A_MEMBER, NOT_ALLOWED, Refused
from tests.records import consumed

Document = dict[str, Any]

_NOTHING: Any = None
PUBLIC = PublicApi(_NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING).routes()
INTERNAL = InternalApi(_NOTHING, _NOTHING, _NOTHING, _NOTHING).routes()
"""The rows of the two APIs, for tests that call none of them."""
ROUTES = {route.path.rstrip("/") for route in (*PUBLIC, *INTERNAL)}
"""As figures name them."""

A, B, C = "up200000001", "up200000002", "up200000003"
students = st.sampled_from([A, B, C])
steps = st.lists(
    st.tuples(st.sampled_from(["create", "add", "remove"]), students, st.sampled_from(["x", "y"]), students),
    max_size=25,
)
"""What students do to groups: to which one, and with whom. `take` does it."""

DEADLINE_S = 30.0
UNBOUNDED = UnreadAnswers(most_bytes=2**40, share=1.0, within_s=3600)
"""For tests of other things than unread answers."""
ANY_BODIES = Bodies(most_bytes=2**40, share=1.0, longest_bytes=2**20, within_s=3600)
"""For tests of other things than bodies."""


async def until(holds: Callable[[], object]) -> None:
    """Let other tasks run until ``holds()``."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DEADLINE_S
    while not holds():
        assert loop.time() < end
        await asyncio.sleep(0)


class FakeWriter:
    """A log of one partition that takes everything; ``refuses`` makes it refuse."""

    def __init__(self) -> None:
        self.says_offsets = True
        self.records: list[tuple[str, Encoded]] = []
        self.refuses: Exception | None = None

    async def write(self, topic: str, *records: Encoded) -> list[WrittenRecord]:
        if self.refuses is not None:
            raise self.refuses
        first = len(self.records)
        self.records += [(topic, one) for one in records]
        if not self.says_offsets:
            return [WrittenRecord(topic, 0, -1, 1_000) for _ in records]
        return [WrittenRecord(topic, 0, first + n, 1_000 + first + n) for n in range(len(records))]

    async def find(self, _collection: str, query: Document, *, limit: int) -> list[Document]:
        """Return the ended membership with this key from a store that holds all of this log."""
        return [{"_id": query["_id"]}][:limit] if self.memberships().get(query["_id"]) is False else []

    def memberships(self) -> dict[str, bool]:
        """Return by key whether the newest record says that there is a membership."""
        return {
            one.key.decode(): one.value is not None
            for _, one in self.records
            if ("ce_type", MemberJoined.ce_type.encode()) in one.headers
        }


class FakeProgress:
    """A store that holds everything, or nothing."""

    def __init__(self, *, stored: bool = True) -> None:
        self.stored = stored
        self.on_wait: Callable[[], None] = lambda: None

    async def wait(self, written: Sequence[WrittenRecord]) -> bool:
        self.on_wait()
        return self.stored


class GroupParts:
    """`Groups`, and what they are made of."""

    def __init__(self, *, members_per_s: float = 1e9, max_groups: int = 1_000) -> None:
        self.memberships = Memberships()
        self.directory = GroupDirectory()
        self.writer = FakeWriter()
        self.progress = FakeProgress()
        self.fault: str | None = None
        self.on_read_to_end: Callable[[], None] = lambda: None
        """What happens while the follower of groups reads to the log's end."""
        self.positions: dict[str, dict[int, int]] = {topics.GROUPS: {}, topics.MEMBERSHIPS: {}}
        self.members = MembersOnly(self.memberships, lambda: self.fault, max_groups)
        self.groups = Groups(
            self.members,
            FormerMembers(self.writer, ReadsOfUsers(8)),  # type: ignore[arg-type]
            self.directory,
            self.writer,  # type: ignore[arg-type]
            self.progress,  # type: ignore[arg-type]
            self.positions,
            self._read_to_end,
            NewMembers(per_s=members_per_s, burst=5_000),
        )

    async def _read_to_end(self, _group: str) -> None:
        self.on_read_to_end()

    def read_back(self, topic: str, written: Sequence[WrittenRecord], records: Sequence[Encoded]) -> None:
        """Let the follower of a topic read what was written."""
        take = {topics.GROUPS: self.directory.take, topics.MEMBERSHIPS: self.memberships.take}[topic]
        take(0, [consumed(topic, it, offset=at.offset) for it, at in zip(records, written, strict=True)])
        self.positions[topic][0] = written[-1].offset + 1


async def take(parts: GroupParts, step: str, caller: str, group: str, up: str) -> bool:
    """Let a student change a group; return whether they may."""
    try:
        if step == "create":
            await parts.groups.create_for(caller, CreateGroup(name="n", users=[up], id=group))
        elif step == "add":
            await parts.groups.add(caller, group, up)
        else:
            await parts.groups.remove(caller, group, up)
    except Refused as refused:
        if refused.refusal not in (NOT_A_MEMBER, NOT_ALLOWED):
            raise
        return False
    return True
