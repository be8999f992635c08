"""A gateway is behind where the store stays further and its own reading stands still; never otherwise."""

import logging
from collections.abc import Collection
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api_gateway import fallen_behind
from api_gateway.fallen_behind import FallenBehind, StalledPartitions
from runtime import metrics
from schemas import topics
from schemas.refusals import HISTORY_UNAVAILABLE, Refused
from tests.waiting import eventually, in_background

ONE: Final = ("t", 0)
OTHER: Final = ("t", 1)

looks = st.lists(
    st.tuples(
        st.fixed_dictionaries({}, optional={ONE: st.integers(0, 3), OTHER: st.integers(0, 3)}),
        st.fixed_dictionaries({}, optional={ONE: st.integers(0, 3), OTHER: st.integers(0, 3)}),
    ),
    max_size=12,
)


@given(looks)
@example([({ONE: 1}, {ONE: 0}), ({ONE: 1, OTHER: 1}, {ONE: 0, OTHER: 0})])
def test_it_counts_from_the_first_of_the_looks_that_saw_the_same_position_behind_the_store(
    seen: list[tuple[dict[fallen_behind.Partition, int], dict[fallen_behind.Partition, int]]],
) -> None:
    still = StalledPartitions()
    for now, (stored, positions) in enumerate(seen):
        still.compare(now, stored, positions)
    last = max(len(seen) - 1, 0)
    longest = 0
    for one in (ONE, OTHER):
        stood = 0
        for stored, positions in reversed(seen):
            same = positions.get(one) == seen[-1][1].get(one) is not None
            if not (same and stored.get(one, -1) >= positions[one]):
                break
            stood += 1
        longest = max(longest, stood - 1)
    assert still.longest_s(last) == longest


class Progress:
    """What the store says, to all who ask."""

    def __init__(self) -> None:
        self.stored = -1
        self.looks = 0
        self.is_away = False

    async def up_to(self, _topic: str, partitions: Collection[int]) -> dict[int, int]:
        self.looks += 1
        if self.is_away:
            raise Refused(HISTORY_UNAVAILABLE)
        return dict.fromkeys(partitions, self.stored)


def behind_store_s() -> float:
    (gauge,) = metrics.BEHIND_STORE_SECONDS.collect()
    return gauge.samples[0].value


async def test_it_says_so_until_the_log_is_read_again_also_while_the_store_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(fallen_behind, "COMPARE_EVERY_S", 0.001)
    monkeypatch.setattr(fallen_behind, "BEHIND_AFTER_S", 0.01)
    progress, read = Progress(), {0: 7}
    progress.is_away = True
    behind = FallenBehind(progress, {topics.MEMBERSHIPS: read})  # type: ignore[arg-type]

    async def looked() -> None:
        """Let it look for twice as long as it takes to fall behind."""
        before = progress.looks
        await eventually("it has looked", lambda: progress.looks >= before + 20)

    async with in_background(behind.run()):
        await looked()
        assert behind.fault() is None
        progress.is_away = False
        progress.stored = 6
        await looked()
        assert behind.fault() is None
        progress.stored = 7
        await eventually("it is behind", lambda: behind.fault() is not None)
        await eventually("the metric says so", lambda: behind_store_s() > 0)
        progress.is_away = True
        await looked()
        assert behind.fault() is not None
        read[0] = 8
        await eventually("it has caught up", lambda: behind.fault() is None)
        progress.is_away = False
        await looked()
        assert behind.fault() is None
        assert behind_store_s() == 0
    assert [(one.levelname, one.message) for one in caplog.records] == [
        ("ERROR", "this gateway has fallen behind the log, and others have not"),
        ("INFO", "this gateway follows the log again"),
    ]
