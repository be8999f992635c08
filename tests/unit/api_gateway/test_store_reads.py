"""Reads of the store end in time, and an outage is noticed once and for all."""

import asyncio
import gc
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from api_gateway.settings import GatewaySettings
from api_gateway.store_reads import Breaker, StoreReads
from runtime import metrics
from runtime.mongo import StoreUnavailable
from schemas.refusals import HISTORY_UNAVAILABLE, OVERLOADED, Refused
from tests.counting import counting
from tests.unit.api_gateway.parts import until
from tests.unit.left_over import left_over

SETTINGS = GatewaySettings(token_secret=SecretStr("x" * 32), max_pending_reads=3, read_timeout_ms=100)


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["ask", "good", "bad"])), max_size=50))
def test_while_the_store_is_away_at_most_one_read_looks_in_each_period(
    steps: list[tuple[float, str]],
) -> None:
    breaker, now, away, looked_at = Breaker(retry_after_s=0.5, timeout_s=4.0), 0.0, False, None
    for passed, step in steps:
        now += passed
        if step == "good":
            assert breaker.succeeded(now) == away
            away, looked_at = False, None
        elif step == "bad":
            assert breaker.failed(now) != away
            away, looked_at = True, now - 3.5
        else:
            admitted = breaker.admits(now)
            assert admitted or away
            if away and admitted:
                assert looked_at is None or now - looked_at >= 4.0 - 1e-6
                looked_at = now


@given(
    now=st.floats(0, 10),
    began_at=st.floats(0, 10),
    answered_at=st.lists(st.floats(0, 10), max_size=5).map(sorted),
    again=st.booleans(),
)
def test_a_read_that_failed_was_slow_by_itself_where_a_later_one_has_been_answered(
    now: float, began_at: float, answered_at: list[float], again: bool
) -> None:
    breaker = Breaker(retry_after_s=0.5, timeout_s=4.0)
    for at in answered_at:
        breaker.succeeded(at)
    if again:
        breaker.failed(now)
    assert breaker.has_answered_since(began_at) == any(began_at < at for at in answered_at)


class FakeStore:
    """A store that answers, is away, or says nothing."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def find(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        self.asked += 1
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        return []

    async def aggregate(self, *_: Any) -> list[dict[str, Any]]:
        return await self.find()


def reads(store: Any) -> StoreReads:
    return StoreReads(store, SETTINGS)


def pending() -> float:
    (gauge,) = metrics.PENDING_READS.collect()
    return gauge.samples[0].value


async def code_of(read: Any) -> str | None:
    try:
        await read
    except Refused as refused:
        return refused.refusal.code
    return None


async def test_a_store_that_is_away_is_history_unavailable_and_not_asked_again_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FakeStore()
    store.error = StoreUnavailable("away")
    reading = reads(store)
    codes = {await code_of(reading.find("messages", {})) for _ in range(10)}
    assert codes == {HISTORY_UNAVAILABLE.code}
    assert store.asked == 1
    assert [one.message for one in caplog.records if one.levelno == logging.ERROR] == ["the store is away"]


async def test_an_outage_is_one_line_when_it_begins_and_one_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    store = FakeStore()
    store.error = StoreUnavailable("away")
    reading = reads(store)
    store.answers.clear()
    under_way = [asyncio.create_task(code_of(reading.find("messages", {}))) for _ in range(3)]
    await until(lambda: store.asked == 3)
    store.answers.set()
    assert set(await asyncio.gather(*under_way)) == {HISTORY_UNAVAILABLE.code}
    for error in (store.error, None):
        store.error = error
        reading._breaker.failed(asyncio.get_running_loop().time() - 1)
        await code_of(reading.find("messages", {}))
    await reading.find("messages", {})
    assert [one.message for one in caplog.records] == ["the store is away", "the store answers again"]


async def test_a_store_that_says_nothing_is_history_unavailable() -> None:
    store = FakeStore()
    store.answers.clear()
    assert await code_of(reads(store).aggregate("messages", [])) == HISTORY_UNAVAILABLE.code


class SlowForOne:
    """A store that answers all but one student's query."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = asyncio.Event()

    async def find(self, _: str, query: dict[str, Any], **__: Any) -> list[dict[str, Any]]:
        self.asked += 1
        if query:
            await self.fails.wait()
            raise StoreUnavailable("timed out")
        return []


@pytest.mark.parametrize("ended_by", ["the gateway", "the driver"])
async def test_slow_reads_of_one_student_are_no_outage_for_the_others(
    ended_by: str, caplog: pytest.LogCaptureFixture
) -> None:
    store, hits = SlowForOne(), counting(metrics.LIMIT_HITS.labels(limit="slow reads"))
    reading = reads(store)
    slow = [asyncio.create_task(code_of(reading.find("messages", {"slow": n}))) for n in range(2)]
    await until(lambda: store.asked == 2)
    await asyncio.sleep(0.001)
    assert await code_of(reading.find("messages", {})) is None
    if ended_by == "the driver":
        store.fails.set()
    assert await asyncio.gather(*slow) == [HISTORY_UNAVAILABLE.code] * 2
    assert await code_of(reading.find("messages", {})) is None
    assert hits() == 2
    assert not caplog.records


async def test_a_store_that_hangs_after_it_has_answered_is_away_for_all() -> None:
    store = FakeStore()
    reading = reads(store)
    assert await code_of(reading.find("messages", {})) is None
    await asyncio.sleep(0.001)
    store.answers.clear()
    assert {await code_of(reading.find("messages", {})) for _ in range(3)} == {HISTORY_UNAVAILABLE.code}
    assert store.asked == 2


class AwayStore:
    """A store that is away."""

    async def find(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        raise StoreUnavailable("away")


async def test_a_failed_read_leaves_nothing_behind() -> None:
    """What failed is known by its callers' frames, and a bundle's holds the pages that it has read."""
    silent = FakeStore()
    silent.answers.clear()
    for store in (silent, AwayStore()):
        with left_over(Refused) as refused:
            assert await code_of(reads(store).find("messages", {})) == HISTORY_UNAVAILABLE.code
            await asyncio.sleep(0)
            assert not refused()


async def test_reads_past_the_bound_are_refused_and_those_before_it_are_answered() -> None:
    store = FakeStore()
    store.answers.clear()
    reading = reads(store)
    hits = counting(metrics.LIMIT_HITS.labels(limit="reads"))
    waiting = [asyncio.create_task(code_of(reading.find("messages", {}))) for _ in range(5)]
    await until(lambda: store.asked == 3)
    assert pending() == 3
    store.answers.set()
    codes = await asyncio.gather(*waiting)
    assert pending() == 0
    assert sorted(codes, key=str) == [None, None, None, OVERLOADED.code, OVERLOADED.code]
    assert hits() == 2


async def test_a_store_that_answers_again_is_used_again() -> None:
    store = FakeStore()
    reading = reads(store)
    reading._breaker.failed(asyncio.get_running_loop().time() - 1)
    for _ in range(3):
        assert await code_of(reading.find("messages", {})) is None
    assert store.asked == 3


async def test_a_caller_that_goes_away_does_not_make_the_store_count_as_away() -> None:
    store = FakeStore()
    store.answers.clear()
    reading = reads(store)
    task = asyncio.create_task(code_of(reading.find("messages", {})))
    await until(lambda: store.asked)
    task.cancel()
    store.answers.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await code_of(reading.find("messages", {})) is None


@pytest.mark.parametrize("cancellations", [1, 2], ids=["gone", "too_late_and_gone"])
async def test_a_read_that_fails_behind_its_caller_s_back_is_no_error_of_its_own(
    cancellations: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = FakeStore()
    store.answers.clear()
    store.error = StoreUnavailable("away")
    task = asyncio.create_task(code_of(reads(store).find("messages", {})))
    await until(lambda: store.asked)
    for _ in range(cancellations):
        task.cancel()
        await asyncio.wait([task], timeout=0)
    store.answers.set()
    await asyncio.wait([task])
    await until(lambda: pending() == 0)
    del task  # its error keeps the frames that wait for the read
    gc.collect()
    assert [one.message for one in caplog.records] == ["the store is away"]


async def test_a_caller_that_goes_away_has_not_left_before_their_read_has_ended() -> None:
    """The driver cannot be told to stop: who comes and goes would have more reads than anybody may."""
    store = FakeStore()
    store.answers.clear()
    reading = reads(store)
    gone = [asyncio.create_task(code_of(reading.find("messages", {}))) for _ in range(3)]
    await until(lambda: store.asked == 3)
    for task in gone:
        task.cancel()
    await asyncio.wait(gone, timeout=0)
    assert not any(task.done() for task in gone)
    assert await code_of(reading.find("messages", {})) == OVERLOADED.code
    store.answers.set()
    await asyncio.wait(gone)
    assert all(task.cancelled() for task in gone)
    assert await code_of(reading.find("messages", {})) is None
