"""Where reading begins: at the commit, and never elsewhere in silence."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from persister.positions import Position, start_position
from runtime.service import Fatal

offsets = st.integers(0, 1_000)


def position(committed: int | None, first: int, end: int, stored: int | None = None) -> Position:
    """Where all that was committed is stored, unless ``stored`` says otherwise."""
    stored = (committed or 0) if stored is None else stored
    return start_position("t/0", committed=committed, stored=stored, first=first, end=end)


@given(offsets, offsets)
def test_without_a_commit_and_progress_all_that_the_log_holds_is_read(first: int, length: int) -> None:
    assert position(None, first, first + length) == (first, 0)


@given(offsets, offsets, st.integers(1, 1_000))
def test_reading_goes_on_at_the_progress_where_the_group_has_forgotten_its_commit(
    first: int, length: int, stored: int
) -> None:
    found = position(None, first, max(first + length, stored), stored)
    assert found == (max(first, stored), max(0, first - stored))


@given(offsets, offsets, offsets)
def test_reading_goes_on_at_the_commit_and_what_the_log_dropped_is_counted(
    first: int, length: int, committed: int
) -> None:
    found = position(committed, first, max(first + length, committed))
    assert found.offset >= first
    assert found.offset - found.lost == committed
    assert found.lost == 0 or found.offset == first


@given(offsets, offsets, offsets, offsets)
@example(8, 4, 5, 4)
def test_what_is_stored_is_not_lost_where_the_commit_was_moved_back(
    first: int, length: int, committed: int, more: int
) -> None:
    stored = committed + more
    found = position(committed, first, max(first + length, stored), stored)
    assert found == (max(committed, first), max(0, first - stored))


@given(offsets, offsets)
def test_a_log_that_ends_before_what_was_reached_is_another_log(end: int, more: int) -> None:
    with pytest.raises(Fatal, match="t/0 ends at"):
        position(end + more + 1, 0, end)
    with pytest.raises(Fatal, match="t/0 ends at"):
        position(None, 0, end, stored=end + more + 1)


@given(st.none() | offsets, offsets, offsets)
@example(1, 0, 0)  # Of an empty store even the first record is lacking.
def test_what_the_store_lacks_is_read_again_and_nothing_else_is(
    committed: int | None, stored: int, first: int
) -> None:
    found = position(committed, first, 1_000 + first, stored)
    if committed is None:
        assert found.offset == max(first, stored)
    else:
        assert found.offset == max(first, min(committed, stored))
