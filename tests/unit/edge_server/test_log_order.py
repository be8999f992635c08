"""Laws of the order: whatever the interleaving, every record has one turn, in the log's order."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from edge_server.log_order import LogOrder


@dataclass(frozen=True)
class Item:
    """A record, and the message that it is of."""

    seq: int
    key: bytes = b"ours"


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


def play(start: int, events: list[tuple[str, int]]) -> tuple[LogOrder[Item], list[int]]:
    order: LogOrder[Item] = LogOrder(start)
    turns: list[Item] = []
    for kind, seq in events:
        turns += order.acked(seq, Item(seq)) if kind == "acked" else order.consumed(seq, Item(seq))
    return order, [item.seq for item in turns]


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
    assert (order._early, order.lost) == ({}, [Item(7)])


def test_an_acked_record_in_whose_place_the_log_has_another_is_lost() -> None:
    order: LogOrder[Item] = LogOrder(5)
    assert order.acked(6, Item(6)) == []
    assert order.consumed(5, Item(5)) == [Item(5), Item(6)]
    assert order.acked(8, Item(8)) == []
    assert order.consumed(8, another := Item(8, b"another")) == [another]
    assert order.lost == [Item(8)]
