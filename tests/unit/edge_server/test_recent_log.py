"""Laws of the window: bounded, in order, and honest about what it no longer holds."""

import tracemalloc
from math import inf
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_server.frames import text_of
from edge_server.recent_log import GROUP_OVERHEAD_BYTES, Entry, RecentLog
from schemas.log_records import MessageSent
from tests.unit.edge_server.entries import entry, poison

MESSAGE: dict[str, Any] = {"id": "m7", "group": "g", "up": "up202000001", "message": "7", "sent_at": 1}

groups = st.lists(st.sampled_from(["a", "b", "c"]), max_size=60)


def filled(
    of: list[str], *, max_records: int = 10_000, max_bytes: int = 10**9, resumable_from: int = 0
) -> RecentLog:
    window = RecentLog(max_bytes=max_bytes, max_records=max_records)
    window.begin(0, resumable_from)
    for seq, group in enumerate(of):
        added = entry(seq, group=group)
        assert window.add(added) is added
    return window


@given(groups, st.integers(0, 20), st.integers(-1, 70))
def test_what_it_reaches_it_gives_whole_and_in_order(of: list[str], records: int, since: int) -> None:
    window = filled(of, max_records=records)
    for group in "abc":
        wanted = [seq for seq, of_group in enumerate(of) if of_group == group and seq > since]
        given_back = [found.seq for found in window.after(group, since, most_bytes=inf) or ()]
        if window.reaches(0, since):
            assert given_back == wanted
        else:
            assert set(given_back) <= set(wanted)


@given(groups, st.integers(0, 20), st.integers(0, 20_000))
def test_it_never_grows_past_its_bounds(of: list[str], records: int, size: int) -> None:
    window = filled(of, max_records=records, max_bytes=size)
    assert len(window._all) <= records
    assert 0 <= window.bytes <= size
    assert all(window._groups.values())


@given(groups, st.integers(0, 20), st.integers(0, 40))
def test_it_reaches_exactly_back_to_the_oldest_record_that_it_holds_and_is_sure_of(
    of: list[str], records: int, resumable_from: int
) -> None:
    window = filled(of, max_records=records, resumable_from=resumable_from)
    assert len(window._all) == min(len(of), records)
    oldest = max(len(of) - len(window._all), resumable_from)
    assert window.reaches(0, oldest - 1)
    assert oldest == 0 or not window.reaches(0, oldest - 2)


def test_a_retry_is_noticed_as_long_as_the_first_is_in_the_window() -> None:
    window = filled(["g"] * 3, max_records=3)
    first = window.find(entry(0, id="m0").key)
    assert first is not None
    assert first.seq == 0
    assert window.add(entry(3, id="m0")) is first
    later = entry(4)
    assert window.add(later) is later
    again = entry(5, id="m0")
    assert window.add(again) is again


def test_the_same_id_of_another_sender_is_another_message() -> None:
    window = filled(["g"])
    another = entry(1, id="m0", up="up202000002")
    assert window.add(another) is another


def test_a_record_that_cannot_be_read_takes_nobodys_id() -> None:
    window = filled([], max_records=2)
    bad = poison(0, id="same")
    assert window.add(bad) is bad
    good = entry(1, id="same")
    assert window.add(good) is good
    assert [found.seq for found in window.after("g", -1, most_bytes=inf) or ()] == [1]
    assert bad.bad is not None
    window.add(entry(2))
    again = window.find(entry(1, id="same").key)
    assert again is not None
    assert again.seq == 1


@pytest.mark.parametrize("text", ["x" * 10, "x" * 200, "\x00" * 12_000, 'quote " and \\ and \x00'])
def test_the_frame_is_one_unmasked_text_frame_around_the_event(text: str) -> None:
    made = entry(7, message=text)
    assert made.frame is not None
    in_it = text_of(made.frame)
    header = len(made.frame) - len(in_it)
    assert header == (2 if len(in_it) < 126 else 4 if len(in_it) < 65_536 else 10)
    assert made.frame[0] == 0x81
    assert made.frame.endswith(in_it)
    name, event = orjson.loads(in_it[2:])
    assert (name, event["message"], event["seq"], event["room"]) == ("chat message", text, 7, "g")


@pytest.mark.parametrize("other", [{"group": "h"}, {"up": "up202000002"}, {"id": "m8"}])
def test_a_value_that_is_not_of_the_keys_message_cannot_be_read(other: dict[str, str]) -> None:
    mine, sent = entry(7), MessageSent(**{**MESSAGE, **other})
    swapped = Entry("g", mine.key, 0, 7, 1, value=sent.value())
    assert swapped.frame is None
    assert swapped.bad is not None


def test_an_entry_counts_the_same_when_it_is_evicted_as_when_it_was_added() -> None:
    window = filled([], max_records=1)
    first = entry(0, message="x" * 1000)
    assert first.size == entry(0, message="").size + 1000
    window.add(first)
    assert first.frame is not None
    window.add(entry(1))
    window.add(entry(2))
    assert window.bytes == entry(2).size + GROUP_OVERHEAD_BYTES


@pytest.mark.parametrize("group_count", [1, 500, 5_000])
def test_it_takes_about_the_memory_that_it_counts_however_many_groups_it_has(group_count: int) -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        window = filled([f"group-{n % group_count}" for n in range(5_000)])
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.5 < taken / window.bytes < 1.25
