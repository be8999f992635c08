"""Laws of the order: whatever the interleaving, every record has one turn, in the log's order."""

from hypothesis import given
from hypothesis import strategies as st

from edge_server.log_order import LogOrder
from edge_server.recent_log import Entry
from tests.unit.edge_server.entries import entry

Interleaving = tuple[int, list[int], list[tuple[str, int]]]


@st.composite
def interleavings(draw: st.DrawFn) -> Interleaving:
    """A log with gaps, of which some records are ours; acks come in any order, consuming in the log's."""
    start = draw(st.integers(0, 1000))
    steps = draw(st.lists(st.integers(1, 3), min_size=1, max_size=40))
    seqs = [start + sum(steps[:i]) for i in range(len(steps))]
    ours = draw(st.sets(st.sampled_from(seqs)))
    events = [("consumed", seq) for seq in seqs]
    for seq in draw(st.permutations(sorted(ours))):
        events.insert(draw(st.integers(0, len(events))), ("acked", seq))
    return start, seqs, events


def play(start: int, events: list[tuple[str, int]]) -> tuple[LogOrder, list[int]]:
    order, turns = LogOrder(start), list[Entry]()
    for kind, seq in events:
        turns += order.acked(entry(seq)) if kind == "acked" else order.consumed(entry(seq))
    return order, [one.seq for one in turns]


@given(interleavings())
def test_every_record_has_exactly_one_turn_in_log_order(case: Interleaving) -> None:
    start, seqs, events = case
    order, turns = play(start, events)
    assert turns == seqs
    assert (order._early, order.lost) == ({}, [])


@given(st.integers(0, 1000), st.integers(1, 50).flatmap(lambda count: st.permutations(range(count))))
def test_acks_that_continue_the_order_have_their_turns_at_once(start: int, acks: list[int]) -> None:
    order, turns = play(start, [("acked", start + n) for n in acks])
    assert turns == list(range(start, start + len(acks)))
    assert order._early == {}


def test_an_acked_record_that_the_log_lacks_is_lost_and_has_no_turn() -> None:
    order, turns = play(5, [("acked", 7), ("consumed", 5), ("consumed", 6), ("consumed", 8)])
    assert turns == [5, 6, 7, 8]
    order, turns = play(5, [("acked", 7), ("consumed", 9)])
    assert turns == [9]
    assert (order._early, [one.seq for one in order.lost]) == ({}, [7])


def test_an_acked_record_in_whose_place_the_log_has_another_is_lost() -> None:
    order = LogOrder(5)
    first, second, third, another = entry(5), entry(6), entry(8), entry(8, id="another")
    assert order.acked(second) == []
    assert order.consumed(first) == [first, second]
    assert order.acked(third) == []
    assert order.consumed(another) == [another]
    assert order.lost == [third]
