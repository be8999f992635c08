"""Where reading begins: at the commit, and never elsewhere in silence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persister.positions import start_position
from runtime.service import Fatal

offsets = st.integers(0, 1_000)


@given(offsets, offsets)
def test_without_a_commit_all_that_the_log_holds_is_read(first: int, length: int) -> None:
    assert start_position("t/0", committed=None, first=first, end=first + length) == (first, 0)


@given(offsets, offsets, offsets)
def test_reading_goes_on_at_the_commit_and_what_the_log_dropped_is_counted(
    first: int, length: int, committed: int
) -> None:
    end = max(first + length, committed)
    position = start_position("t/0", committed=committed, first=first, end=end)
    assert position.offset >= first
    assert position.offset - position.lost == committed
    assert position.lost == 0 or position.offset == first


@given(offsets, offsets)
def test_a_log_that_ends_before_the_commit_is_another_log(end: int, more: int) -> None:
    with pytest.raises(Fatal, match="t/0 ends at"):
        start_position("t/0", committed=end + more + 1, first=0, end=end)
