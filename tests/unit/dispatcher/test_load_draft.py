"""Which parts a full edge offers, and where they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.crowd import Load
from dispatcher.load_draft import LoadDraft, roundest
from dispatcher.shard_draft import DIGIT
from schemas.assignments import Shard, shard_label
from schemas.up_number import CIRCLE

HOLDERS = "abbbabbbbb"
SHARDS = tuple(
    Shard(start=n * CIRCLE // 10, end=(n + 1) * CIRCLE // 10, edge=edge) for n, edge in enumerate(HOLDERS)
)


@given(st.integers(0, 3 * DIGIT), st.integers(0, 200), st.data())
def test_a_border_is_the_nearest_of_the_roundest_there_are(low: int, width: int, data: st.DataObject) -> None:
    goal = data.draw(st.integers(low, low + width))
    roundness = {atom: min(atom & -atom or DIGIT, DIGIT) for atom in range(low, low + width + 1)}
    most = max(roundness.values())
    found = roundest(low, goal, low + width)
    assert roundness.get(found) == most
    assert abs(found - goal) == min(abs(atom - goal) for atom, its in roundness.items() if its == most)


@pytest.mark.parametrize(
    ("in_0", "in_4", "first"),
    [(800, 150, "4"), (150, 800, "0"), (500, 450, "0"), (850, 100, "0[5-9]"), (100, 850, "4[5-9]")],
)
def test_a_whole_shard_with_an_eighth_to_three_quarters_of_all_clients_is_offered_first(
    in_0: int, in_4: int, first: str
) -> None:
    """If there is none, half of the fullest shard is."""
    digit = CIRCLE // 10
    points = [n * digit // in_0 for n in range(in_0)] + [4 * digit + n * digit // in_4 for n in range(in_4)]
    draft = LoadDraft(SHARDS, frozenset("ab"), {"a": Load(950, 1000, points), "b": Load(0, 1000, ())})
    assert shard_label(*next(draft.parts("a"))) == first


def test_of_many_small_shards_a_whole_one_is_offered() -> None:
    """None has an eighth of all clients, and a half of one would be too small a part."""
    starts = [n * CIRCLE // 20 for n in range(21)]
    shards = tuple(Shard(start=starts[n], end=starts[n + 1], edge="ab"[n % 2]) for n in range(20))
    points = [start + n for start in starts[:-1:2] for n in range(95)]
    draft = LoadDraft(shards, frozenset("ab"), {"a": Load(950, 1000, points), "b": Load(0, 1000, ())})
    assert [shard_label(*part) for part in draft.parts("a")] == ["0[0-4]"]
