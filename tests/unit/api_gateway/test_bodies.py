"""Bodies that never become whole: what is kept of them is bounded, in bytes and in time."""

import asyncio
from contextlib import ExitStack, suppress
from typing import Any, cast

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.bodies import Bodies
from runtime import metrics
from schemas.refusals import OVERLOADED, RATE_LIMITED, SLOW_REQUEST, TOO_LARGE, Refusal, Refused
from tests.counting import counting
from tests.unit.api_gateway.parts import until
from tests.unit.refusing import refuses

MOST, LONGEST = 100, 20


class Sent:
    """A request whose body ends as it is told, and not before."""

    def __init__(self, content_length: int | None) -> None:
        self.headers: dict[str, str] = {}
        self.content_length = content_length
        self.end: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def read(self) -> bytes:
        return await self.end


def bodies_of(*, within_s: float = 3600, share: float = 0.5) -> Bodies:
    return Bodies(most_bytes=MOST, share=share, longest_bytes=LONGEST, within_s=within_s)


def begin(bodies: Bodies, caller: str, sent: Sent) -> "asyncio.Task[bytes]":
    return asyncio.create_task(bodies.read(cast(web.Request, sent), caller))


ends = st.sampled_from(["whole", "gone", "cancelled", "too large"])


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.none() | st.integers(0, 2 * LONGEST), ends),
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
async def test_never_are_more_bytes_read_than_allowed_and_every_end_gives_them_back(
    wanted: list[tuple[str, int | None, str]], chance: Any
) -> None:
    bodies, under_way = bodies_of(), []
    for caller, length, end in wanted:
        sent = Sent(length)
        task = begin(bodies, caller, sent)
        await asyncio.sleep(0)
        if task.done():
            assert isinstance(task.exception(), Refused)
        else:
            under_way.append((caller, LONGEST if length is None else min(length, LONGEST), end, sent, task))
        if under_way and chance.random() < 0.3:
            await end_one(under_way.pop(chance.randrange(len(under_way))))
        counted = {of: sum(size for who, size, *_ in under_way if who == of) for of in ("a", "b", "c")}
        assert bodies.bytes == sum(counted.values()) <= MOST
        assert all(size <= MOST / 2 for size in counted.values())
        assert +bodies._by_caller == {who: size for who, size in counted.items() if size}
    for one in under_way:
        await end_one(one)
    assert bodies.bytes == 0
    assert not bodies._by_caller, "who sends nothing is forgotten"


async def end_one(one: tuple[str, int, str, Sent, "asyncio.Task[bytes]"]) -> None:
    *_, end, sent, task = one
    if end == "whole":
        sent.end.set_result(b"")
    elif end == "gone":
        sent.end.set_exception(ConnectionResetError())
    elif end == "cancelled":
        task.cancel()
    else:
        sent.end.set_exception(web.HTTPRequestEntityTooLarge(1, 2))
    with suppress(asyncio.CancelledError, Refused):
        await task


@pytest.mark.parametrize(
    ("full_of", "caller", "refusal", "limit"),
    [
        (["a", "a"], "a", RATE_LIMITED, "bodies of a user"),
        (["a", "a", "b", "b"], "c", OVERLOADED, "bodies"),
    ],
)
async def test_a_body_for_which_there_is_no_room_is_refused_unread_and_counted(
    full_of: list[str], caller: str, refusal: Refusal, limit: str
) -> None:
    bodies = bodies_of()
    hits = counting(metrics.LIMIT_HITS.labels(limit=limit))
    tasks = [begin(bodies, one, Sent(LONGEST)) for one in full_of]
    await until(lambda: bodies.bytes == len(full_of) * LONGEST)
    with refuses(refusal):
        await begin(bodies, caller, Sent(LONGEST))
    assert hits() == 1
    for task in tasks:
        task.cancel()
    await until(lambda: bodies.bytes == 0)


async def test_a_first_body_is_always_read_however_little_room_there_is() -> None:
    bodies = Bodies(most_bytes=10, share=0.1, longest_bytes=LONGEST, within_s=3600)
    sent = Sent(None)
    task = begin(bodies, "a", sent)
    sent.end.set_result(b"{}")
    assert await task == b"{}"


async def test_a_body_that_takes_too_long_is_refused_and_gives_its_room_back() -> None:
    bodies = bodies_of(within_s=0.01)
    hits = counting(metrics.LIMIT_HITS.labels(limit="slow bodies"))
    with refuses(SLOW_REQUEST):
        await begin(bodies, "a", Sent(None))
    assert (bodies.bytes, hits()) == (0, 1)


async def test_of_a_body_that_is_too_large_it_is_said_how_large_it_may_be() -> None:
    sent = Sent(None)
    task = begin(bodies_of(), "a", sent)
    sent.end.set_exception(web.HTTPRequestEntityTooLarge(LONGEST, LONGEST + 1))
    with refuses(TOO_LARGE) as refused:
        await task
    assert refused.value.detail == f"body: At most {LONGEST} bytes"


@given(st.lists(st.integers(0, 2 * MOST) | st.integers(0, MOST // 10), max_size=10))
def test_a_caller_who_may_have_everything_is_never_told_to_slow_down(sizes: list[int]) -> None:
    bodies = bodies_of(share=1.0)
    hits = counting(metrics.LIMIT_HITS.labels(limit="bodies of a user"))
    with ExitStack() as held:
        for size in sizes:
            with suppress(Refused):
                bodies.admit("solution", size)
                held.enter_context(bodies.counted("solution", size))
    assert hits() == 0
