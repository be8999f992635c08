"""Laws of resuming: everything after the cursor once, in order, or an honest hole."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from edge_server.catch_up import MAX_AHEAD, catch_up
from edge_server.recent_log import RecentLog
from runtime.log_reader import beginning
from tests.unit.edge_server.entries import entry


@given(
    of=st.lists(st.sampled_from(["g", "other"]), max_size=40),
    records=st.integers(0, 40),
    since=st.integers(-1, 60),
    later=st.lists(st.sampled_from(["g", "other"]), max_size=30),
)
def test_missed_then_live_is_everything_after_the_cursor_once_or_a_hole(
    of: list[str], records: int, since: int, later: list[str]
) -> None:
    window = RecentLog(max_bytes=10**9, max_records=records)
    window.begin(0, 0)
    for seq, group in enumerate(of):
        window.add(entry(seq, group=group))
    joined = catch_up(window, "g", 0, head=len(of) - 1, since=since, most_bytes=10**9)
    if not joined.recovered:
        assert joined.missed == ()
        assert since + 1 < len(of) - len(window._all)
        return
    live = [seq for seq, group in enumerate(of + later) if seq >= len(of) and group == "g"]
    if joined.after_seq is not None:
        live = [seq for seq in live if seq > joined.after_seq]
    got = [missed.seq for missed in joined.missed] + live
    assert got == [seq for seq, group in enumerate(of + later) if group == "g" and seq > since]


def test_without_a_cursor_nothing_was_missed() -> None:
    joined = catch_up(RecentLog(max_bytes=0, max_records=0), "g", 0, head=9, since=None, most_bytes=0)
    assert (joined.head, joined.recovered, joined.missed, joined.after_seq) == (9, True, (), None)


def test_a_cursor_of_another_log_is_a_hole() -> None:
    window = RecentLog(max_bytes=10**6, max_records=10)
    window.begin(0, 0)
    assert not catch_up(window, "g", 0, head=5, since=6 + MAX_AHEAD, most_bytes=10**9).recovered
    assert catch_up(window, "g", 0, head=5, since=5 + MAX_AHEAD, most_bytes=10**9).recovered


@given(records=st.integers(0, 20), since=st.integers(-1, 20), most_bytes=st.integers(0, 5_000))
def test_what_is_sent_at_once_fits_and_what_does_not_fit_is_a_hole(
    records: int, since: int, most_bytes: int
) -> None:
    window = RecentLog(max_bytes=10**9, max_records=100)
    window.begin(0, 0)
    for seq in range(records):
        window.add(entry(seq))
    all_of_it = sum(len(missed.frame or b"") for missed in (window.after("g", since, most_bytes=10**9) or []))
    joined = catch_up(window, "g", 0, head=records - 1, since=since, most_bytes=most_bytes)
    assert joined.recovered == (all_of_it <= most_bytes)
    assert joined.bytes == (all_of_it if joined.recovered else 0)
    assert joined.scanned_in_vain == (0 if joined.recovered else most_bytes)


def test_whoever_resumes_where_an_edge_has_just_begun_sees_no_message_again_but_late_retries() -> None:
    """Record ``at`` says again what stands ``back`` before it; the client has seen all up to ``since``.

    The edge begins when 12 of the 16 records stand in the log.
    """
    caught_up = 0
    for tail, since, at, back in product(range(11), range(-1, 16), range(1, 16), range(1, 11)):
        if back > at or not since < at <= since + 2:
            continue
        window = RecentLog(max_bytes=10**9, max_records=10**9)
        start, resumable_from = beginning(0, 12, tail)
        window.begin(0, resumable_from)
        for seq in range(start, 16):
            window.add(entry(seq, id=f"m{seq - back if seq == at else seq}"))
        joined = catch_up(window, "g", 0, head=15, since=since, most_bytes=10**9)
        caught_up += bool(joined.missed)
        again = any(missed.seq == at for missed in joined.missed)
        assert not again or back > tail // 2, (tail, since, at, back)
    assert caught_up
