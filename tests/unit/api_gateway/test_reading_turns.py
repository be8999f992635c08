"""Few read at the same time, and nobody waits for ever because of who was refused or went."""

import asyncio
import itertools
from contextlib import ExitStack, suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api_gateway.public_routes import PublicApi
from api_gateway.reading_turns import BundleTurns, ReadsOfUsers
from api_gateway.ready_response import ReadyResponse
from runtime import metrics
from schemas.api import BundlePage, GroupHistoryPage, GroupMembersPage
from schemas.refusals import OVERLOADED, RATE_LIMITED, Refused
from tests.counting import counting
from tests.unit.api_gateway.parts import GroupParts
from tests.unit.refusing import refuses
from tests.waiting import passes

A, B = "up200000001", "up200000002"


class Crowd:
    """Holds turns until each is told to end, and counts how many do at the same time."""

    def __init__(self, turns: BundleTurns) -> None:
        self._turns = turns
        self.now = 0
        self.begun: list[int] = []
        self.whose: list[str] = []
        """Of whom these are."""
        self.reading: list[str] = []
        self._strangers = itertools.count()
        self.ends = asyncio.Event()

    async def take(self, messages: int = 10, up: str | None = None) -> None:
        """Hold a turn, as somebody new where nobody is named."""
        up = up or f"somebody {next(self._strangers)}"
        async with self._turns.take(up, messages):
            self.now += messages
            self.begun.append(messages)
            self.whose.append(up)
            self.reading.append(up)
            try:
                await self.ends.wait()
            finally:
                self.reading.remove(up)
                self.now -= messages


async def test_others_wait_for_a_turn_and_those_past_the_bound_are_refused() -> None:
    hits = counting(metrics.LIMIT_HITS.labels(limit="bundles"))
    crowd = Crowd(BundleTurns(29, max_waiting=3))
    tasks = [asyncio.create_task(crowd.take()) for _ in range(5)]
    await passes()
    assert crowd.now == 20
    with refuses(OVERLOADED):
        await crowd.take()
    assert hits() == 1
    crowd.ends.set()
    await asyncio.gather(*tasks)
    await crowd.take()


async def test_whoever_is_gone_while_waiting_or_reading_leaves_their_turn_to_the_next() -> None:
    crowd = Crowd(BundleTurns(10, max_waiting=2))
    reading, waiting, next_one = tasks = [asyncio.create_task(crowd.take()) for _ in range(3)]
    await passes()
    for gone in (waiting, reading):
        gone.cancel()
    await passes()
    crowd.ends.set()
    await next_one
    assert [task.cancelled() for task in tasks] == [True, True, False]
    await crowd.take()


@given(st.lists(st.integers(0, 10), max_size=20), st.integers(10, 30))
async def test_whatever_size_they_are_no_more_is_read_than_there_may_be_and_who_came_first_is_first(
    sizes: list[int], most: int
) -> None:
    crowd = Crowd(BundleTurns(most, max_waiting=len(sizes) + 1))
    tasks = [asyncio.create_task(crowd.take(size)) for size in sizes]
    while True:
        await passes()
        assert crowd.now <= most
        if len(crowd.begun) == len(sizes):
            break
        assert crowd.now + sizes[len(crowd.begun)] > most, "the next one has room, and waits"
        crowd.ends.set()
        await asyncio.sleep(0)
        crowd.ends.clear()
    crowd.ends.set()
    await asyncio.gather(*tasks)
    assert crowd.begun == sizes
    assert crowd.now == 0


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.booleans()), max_size=20),
    st.integers(5, 20),
)
async def test_a_student_reads_one_bundle_at_a_time_and_nobody_waits_for_two_of_somebody_else_s(
    bundles: list[tuple[str, int, bool]], most: int
) -> None:
    crowd = Crowd(BundleTurns(most, max_waiting=len(bundles) + 2))
    tasks = [asyncio.create_task(crowd.take(size, up)) for up, size, _ in bundles]
    await passes()
    for task, (_, _, gives_up) in zip(tasks, bundles, strict=True):
        if gives_up:
            task.cancel()
    await passes()
    earlier = len(crowd.whose)
    mine = asyncio.create_task(crowd.take(5, "me"))
    while not mine.done():
        await passes()
        assert len(set(crowd.reading)) == len(crowd.reading)
        assert crowd.now <= most
        crowd.ends.set()
        await asyncio.sleep(0)
        crowd.ends.clear()
    before_mine = crowd.whose[earlier : crowd.whose.index("me")]
    assert len(set(before_mine)) == len(before_mine)
    crowd.ends.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(task.cancelled() for task in tasks) == sorted(gives_up for _, _, gives_up in bundles)
    assert crowd.now == 0
    assert not crowd._turns._user_locks, "somebody without a bundle is remembered"


HOW = st.sampled_from(["begins", "begins", "ends", "fails"])


@given(st.lists(st.tuples(st.sampled_from("ab"), HOW), max_size=40), st.integers(1, 4))
def test_a_user_has_so_many_reads_under_way_whoever_else_reads_and_is_forgotten_after_the_last(
    steps: list[tuple[str, str]], most: int
) -> None:
    reads = ReadsOfUsers(most)
    under_way: dict[str, list[ExitStack]] = {"a": [], "b": []}
    for up, step in steps:
        mine, read = under_way[up], ExitStack()
        if step == "begins" and len(mine) < most:
            read.enter_context(reads.counted(up))
            mine.append(read)
        elif step == "begins":
            with refuses(RATE_LIMITED):
                read.enter_context(reads.counted(up))
        elif mine:
            with suppress(OSError), mine.pop():
                if step == "fails":
                    raise OSError("the store is away")
    assert len(reads._under_way) == sum(map(bool, under_way.values()))


class WaitingHistory:
    """Reads that end when they are told to."""

    def __init__(self) -> None:
        self.ends = asyncio.Event()

    async def page(self, *_: Any) -> dict[str, Any]:
        await self.ends.wait()
        return {}

    bundle = member_page = page


async def test_pages_bundles_and_names_of_one_student_count_together_and_others_read_on() -> None:
    parts, history = GroupParts(), WaitingHistory()
    for up in (A, B):
        parts.memberships.set_member("maths", up, member=True)
    nothing: Any = None
    shown: Any = history
    here = PublicApi(nothing, shown, parts.groups, parts.members, shown, ReadsOfUsers(3))

    def reads_of(up: str) -> list[asyncio.Task[ReadyResponse]]:
        page = here.history(up, GroupHistoryPage(group="maths"))
        names = here.members(up, GroupMembersPage(group="maths"))
        return [asyncio.create_task(one) for one in (page, here.bundle(up, BundlePage()), names)]

    hits = counting(metrics.LIMIT_HITS.labels(limit="reads of a user"))
    under_way, more, others = reads_of(A), reads_of(A), reads_of(B)
    await passes()
    assert [one.done() for one in (*under_way, *more, *others)] == [False] * 3 + [True] * 3 + [False] * 3
    history.ends.set()
    await asyncio.gather(*under_way, *others, *reads_of(A))
    refused = [one.exception() for one in more]
    assert [one.refusal for one in refused if isinstance(one, Refused)] == [RATE_LIMITED] * 3
    assert hits() == 3
