"""Outages: the same write again until the store answers, with bounded pauses."""

import asyncio
import logging
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persister import outage as module
from persister.outage import FIRST_PAUSE_S, NoLongerOursError, Outage, pause_s
from runtime import metrics
from runtime.mongo import StoreUnavailable
from tests.counting import counting
from tests.waiting import in_background, passes


class Flaky:
    """Fails so many times, then answers."""

    def __init__(self, failures: int, outage: Outage) -> None:
        self._left = failures
        self._outage = outage
        self.faults: list[str | None] = []
        self.ages_s: list[float] = []

    async def __call__(self) -> str:
        self.faults.append(self._outage.fault())
        self.ages_s.append(self._outage.age_s())
        if self._left:
            self._left -= 1
            raise StoreUnavailable("away")
        return "done"


@given(st.integers(1, 10_000), st.floats(0.01, 60), st.floats(0, 1, exclude_max=True))
def test_pauses_are_bounded_and_never_nothing(failures: int, longest_s: float, jitter: float) -> None:
    assert 0 < pause_s(failures, longest_s=longest_s, jitter=jitter) <= longest_s


@given(st.floats(0.05, 60), st.floats(0, 1, exclude_max=True))
def test_pauses_begin_short_and_grow_to_between_half_of_the_longest_and_all_of_it(
    longest_s: float, jitter: float
) -> None:
    """Who comes back early from a short outage loses little, and a store that is away is left in peace."""
    assert pause_s(1, longest_s=longest_s, jitter=jitter) <= FIRST_PAUSE_S
    assert pause_s(30, longest_s=longest_s, jitter=jitter) == pytest.approx(longest_s * (1 + jitter) / 2)


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_a_later_pause_is_never_bounded_lower(failures: int, jitter: float) -> None:
    earlier = pause_s(failures, longest_s=5.0, jitter=jitter)
    assert earlier <= pause_s(failures + 1, longest_s=5.0, jitter=jitter)


async def test_pauses_grow_with_the_failures_in_a_row_and_begin_short_after_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paused: list[int] = []

    def pause(failures: int, **_: float) -> float:
        paused.append(failures)
        return 0.0

    monkeypatch.setattr(module, "pause_s", pause)
    outage = Outage(longest_pause_s=60.0)
    for failures in (4, 2):
        await outage.retry("test", Flaky(failures, outage))
    assert paused == [1, 2, 3, 4, 1, 2]


@given(st.integers(0, 20))
async def test_the_answer_comes_after_any_number_of_failures_and_readiness_tells(failures: int) -> None:
    outage = Outage(longest_pause_s=0.0)
    flaky = Flaky(failures, outage)
    assert await outage.retry("test", flaky) == "done"
    assert flaky.faults == [None, *["the store is away; what is read waits: away"] * failures]
    assert outage.fault() is None


async def test_what_nobody_wants_any_more_is_given_up_and_is_no_fault() -> None:
    outage = Outage(longest_pause_s=0.0)
    with pytest.raises(NoLongerOursError):
        await outage.retry("test", Flaky(3, outage), wanted=lambda: False)
    assert outage.fault() is None


@pytest.mark.parametrize("is_left_to_others", [False, True])
async def test_an_outage_that_is_over_or_left_to_others_is_no_part_of_the_next_one(
    is_left_to_others: bool,
) -> None:
    now = 0.0
    outage = Outage(longest_pause_s=0.0, clock=lambda: now)
    with pytest.raises(NoLongerOursError) if is_left_to_others else nullcontext():
        await outage.retry("test", Flaky(3, outage), wanted=lambda: not is_left_to_others)
    now = 100.0
    once_more = Flaky(1, outage)
    await outage.retry("test", once_more)
    assert once_more.ages_s == [0.0, 0.0]


@given(st.lists(st.floats(0, 100), max_size=10))
async def test_an_outage_lasts_from_its_first_failure_until_the_store_answers(passing: list[float]) -> None:
    now, lasted = 1_000.0, []
    outage = Outage(longest_pause_s=0.0, clock=lambda: now)

    async def away_for_a_while() -> None:
        nonlocal now
        lasted.append(outage.age_s())
        if len(lasted) > len(passing):
            return
        now += passing[len(lasted) - 1]
        raise StoreUnavailable("away")

    await outage.retry("test", away_for_a_while)
    # The first failure is told after its own time has passed.
    assert lasted == pytest.approx([0.0, *(sum(passing[1:n]) for n in range(1, len(passing) + 1))])
    assert outage.age_s() == 0


async def test_a_wait_that_is_begun_anew_goes_on_with_the_outage_it_was_in() -> None:
    now = 0.0
    outage = Outage(longest_pause_s=60.0, clock=lambda: now)
    for lasted in (0.0, 100.0):
        now = lasted
        waiting = asyncio.create_task(outage.retry("test", Flaky(10**9, outage)))
        await passes()
        assert outage.age_s() == lasted
        waiting.cancel()
        await asyncio.wait({waiting})
        assert outage.age_s() == 0, "nothing waits for it"


async def test_a_store_that_has_just_taken_something_has_been_away_for_no_time_whatever_else_waits() -> None:
    outage = Outage(longest_pause_s=60.0, clock=lambda: 5.0)
    async with in_background(outage.retry("one", Flaky(10**9, outage))):
        await passes()
        assert await outage.retry("another", Flaky(0, outage)) == "done"
        assert outage.fault(), "one waits all the same"
        assert outage.age_s() == 0


async def test_other_errors_are_not_taken_for_an_outage() -> None:
    async def broken() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await Outage(1.0).retry("test", broken)


async def test_a_cancelled_wait_ends_and_leaves_no_fault() -> None:
    outage = Outage(longest_pause_s=60.0)
    waiting = asyncio.create_task(outage.retry("test", Flaky(10**9, outage)))
    await passes()
    assert outage.fault()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert outage.fault() is None


@pytest.mark.parametrize("failures", [0, 1, 5])
async def test_an_outage_is_said_once_as_an_error_with_its_end_and_every_retry_counts(
    failures: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    retries = counting(metrics.STORE_RETRIES)
    outage = Outage(longest_pause_s=0.0)
    await outage.retry("test", Flaky(failures, outage))
    assert retries() == failures
    assert [(one.levelname, one.message, vars(one)["facts"]) for one in caplog.records] == (
        [
            ("ERROR", "the store is away", {"writing": "test", "error": "away"}),
            ("INFO", "the store answers again", {"writing": "test", "failures": failures}),
        ]
        if failures
        else []
    )
