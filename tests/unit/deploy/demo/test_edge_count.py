"""Laws of starting and stopping edges: bounded, at once upwards, patiently downwards."""

from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.edge_count import CALM_S, MOST, EdgeCount


def test_one_more_is_started_as_soon_as_it_is_wanted() -> None:
    assert EdgeCount(least=2).step(0.0, serving=2, wanted=3) == "start"


def test_one_fewer_must_have_been_enough_for_a_while() -> None:
    count = EdgeCount(least=2)
    assert [count.step(now, serving=4, wanted=3) for now in (0.0, CALM_S / 2, CALM_S - 0.1)] == [None] * 3
    assert count.step(CALM_S, serving=4, wanted=3) == "stop"
    assert count.step(CALM_S + 0.1, serving=4, wanted=3) is None, "the next one takes as long again"


def test_a_moment_in_which_all_are_needed_begins_the_wait_anew() -> None:
    count = EdgeCount(least=2)
    count.step(0.0, serving=4, wanted=3)
    count.step(CALM_S / 2, serving=4, wanted=4)
    assert count.step(CALM_S + 5.0, serving=4, wanted=3) is None


def test_nothing_is_done_while_nobody_knows_what_is_wanted() -> None:
    count = EdgeCount(least=2)
    assert [count.step(now, serving=0, wanted=0) for now in (0.0, 99.0)] == [None, None]


@given(st.integers(1, 4), st.lists(st.tuples(st.floats(0.1, 30.0), st.integers(0, 20)), max_size=60))
def test_there_are_never_fewer_than_the_least_nor_more_than_the_most(
    least: int, history: list[tuple[float, int]]
) -> None:
    count, now, serving = EdgeCount(least=least), 0.0, least
    for seconds, wanted in history:
        now += seconds
        step = count.step(now, serving=serving, wanted=wanted)
        serving += {"start": 1, "stop": -1, None: 0}[step]
        assert least <= serving <= MOST
