"""Outages: the same write again until the store answers, with bounded pauses."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persister.outage import NoLongerOursError, Outage, pause_s
from runtime.mongo import StoreUnavailable


class Flaky:
    """Fails so many times, then answers."""

    def __init__(self, failures: int, outage: Outage) -> None:
        self._left = failures
        self._outage = outage
        self.faults: list[str | None] = []

    async def __call__(self) -> str:
        self.faults.append(self._outage.fault())
        if self._left:
            self._left -= 1
            raise StoreUnavailable("away")
        return "done"


@given(st.integers(1, 10_000), st.floats(0.01, 60), st.floats(0, 1, exclude_max=True))
def test_pauses_are_bounded_and_never_nothing(failures: int, longest_s: float, chance: float) -> None:
    assert 0 < pause_s(failures, longest_s=longest_s, chance=chance) <= longest_s


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_a_later_pause_is_never_bounded_lower(failures: int, chance: float) -> None:
    earlier = pause_s(failures, longest_s=5.0, chance=chance)
    assert earlier <= pause_s(failures + 1, longest_s=5.0, chance=chance)


@given(st.integers(0, 20))
async def test_the_answer_comes_after_any_number_of_failures_and_readiness_tells(failures: int) -> None:
    outage = Outage(longest_pause_s=0.0)
    flaky = Flaky(failures, outage)
    assert await outage.outlast("test", flaky) == "done"
    assert flaky.faults[0] is None
    assert all(flaky.faults[1:])
    assert len(flaky.faults) == failures + 1
    assert outage.fault() is None


async def test_what_nobody_wants_any_more_is_given_up_and_is_no_fault() -> None:
    outage = Outage(longest_pause_s=0.0)
    with pytest.raises(NoLongerOursError):
        await outage.outlast("test", Flaky(3, outage), wanted=lambda: False)
    assert outage.fault() is None


async def test_other_errors_are_not_taken_for_an_outage() -> None:
    async def broken() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await Outage(1.0).outlast("test", broken)


async def test_a_cancelled_wait_ends_and_leaves_no_fault() -> None:
    outage = Outage(longest_pause_s=60.0)
    waiting = asyncio.create_task(outage.outlast("test", Flaky(10**9, outage)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert outage.fault()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert outage.fault() is None
