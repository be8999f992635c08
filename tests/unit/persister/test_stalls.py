"""Stalls: what stands still with nothing to hand over, and nothing else."""

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from persister.stalls import STALLED_AFTER, Sample, Stalls

TP = TopicPartition("t", 0)


def seen(samples: list[Sample]) -> list[list[TopicPartition]]:
    stalls = Stalls()
    return [stalls.check(sample) for sample in samples]


def test_a_partition_that_gives_nothing_although_it_has_more_has_stalled() -> None:
    found = seen([Sample({TP: (5, 9)}, polls) for polls in range(STALLED_AFTER + 1)])
    assert found[:-1] == [[]] * STALLED_AFTER
    assert found[-1] == [TP]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_a_partition_that_moves_never_stalls(polls: list[int]) -> None:
    samples = [Sample({TP: (n, n + 5)}, sum(polls[:n])) for n in range(len(polls))]
    assert not any(seen(samples))


@given(st.lists(st.integers(1, STALLED_AFTER), max_size=12))
def test_only_looks_in_a_row_at_a_partition_that_stands_are_a_stall(stands: list[int]) -> None:
    """It stands for a few looks, moves, and stands again: each time it is counted from the beginning."""
    positions = [position for position, samples in enumerate(stands) for _ in range(samples)]
    assert not any(seen([Sample({TP: (position, 99)}, polls) for polls, position in enumerate(positions)]))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_a_partition_that_is_read_to_its_end_never_stalls(polls: list[int]) -> None:
    assert not any(seen([Sample({TP: (7, 7)}, sum(polls[:n])) for n in range(len(polls))]))


def test_waiting_for_the_store_is_no_stall() -> None:
    assert not any(seen([Sample({TP: (5, 9)}, 3) for _ in range(STALLED_AFTER * 3)]))


def test_a_partition_that_went_and_came_back_is_seen_anew() -> None:
    samples = [Sample({TP: (5, 9)}, n) for n in range(STALLED_AFTER)]
    samples += [Sample({}, STALLED_AFTER), Sample({TP: (5, 9)}, STALLED_AFTER + 1)]
    assert not any(seen(samples))


def test_a_partition_that_stalled_and_went_is_another_persisters_to_tell_of() -> None:
    found = seen(
        [*(Sample({TP: (5, 9)}, polls) for polls in range(STALLED_AFTER + 1)), Sample({}, STALLED_AFTER + 1)]
    )
    assert found[-2:] == [[TP], []]
