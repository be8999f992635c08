"""Laws of resuming: everything after the cursor once, in order, or an honest hole."""

from hypothesis import given, settings
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
    assert joined.bytes_in_vain == (0 if joined.recovered else most_bytes)


@settings(max_examples=1_000)
@given(
    retries=st.lists(st.sampled_from([0, 0, 1, 3, 8]), min_size=10, max_size=40),
    read=st.integers(5, 40),
    tail=st.integers(0, 20),
    since=st.integers(-1, 39),
)
def test_whoever_resumes_where_an_edge_has_just_begun_sees_no_message_again_but_late_retries(
    retries: list[int], read: int, tail: int, since: int
) -> None:
    """A record says again what stands so many records before it, or something new.

    The edge begins when ``read`` of them stand in the log; the client has seen all up to ``since``.
    """
    said: list[int] = []
    for seq, back in enumerate(retries):
        said.append(said[-back] if 0 < back <= seq else seq)
    window = RecentLog(max_bytes=10**9, max_records=10**9)
    start, sure_from = beginning(0, min(read, len(said)), tail)
    window.begin(0, sure_from)
    for seq in range(start, len(said)):
        window.add(entry(seq, id=f"m{said[seq]}"))
    joined = catch_up(window, "g", 0, head=len(said) - 1, since=since, most_bytes=10**9)
    for missed in joined.missed:
        later = missed.seq - said[missed.seq]
        assert later == 0 or later > tail // 2
