"""Laws of moving: who belongs elsewhere is told once, at a bounded rate, and closed only after that."""

from dataclasses import dataclass
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from edge_server.moves import Bucket, Moves, pace

WITHIN_S = 10.0


@dataclass(eq=False)
class Leaver:
    gone: bool = False


def many(count: int) -> tuple[Moves[Leaver], list[Leaver]]:
    moves: Moves[Leaver] = Moves(within_s=WITHIN_S)
    leavers = [Leaver() for _ in range(count)]
    for leaver in leavers:
        moves.set_destination(leaver, "http://b")
    return moves, leavers


@given(st.integers(0, 60), st.lists(st.integers(0, 9), max_size=40))
def test_each_is_told_once_and_never_more_at_a_time_than_is_allowed(count: int, budgets: list[int]) -> None:
    moves, leavers = many(count)
    told: list[Leaver] = []
    for budget in budgets:
        step = moves.step(0.0, budget)
        assert len(step.notify) <= budget
        told += [leaver for leaver, _ in step.notify]
    assert len(told) == len(set(told)) == min(count, sum(budgets))
    assert moves.waiting == count - len(told)
    assert set(told) <= set(leavers)


@given(st.lists(st.tuples(st.floats(0.05, 3.0), st.integers(0, 5)), max_size=40))
def test_nobody_is_closed_who_was_not_told_in_good_time(steps: list[tuple[float, int]]) -> None:
    moves, _ = many(20)
    told_at: dict[Leaver, float] = {}
    now = 0.0
    for seconds, budget in steps:
        now += seconds
        step = moves.step(now, budget)
        for leaver in step.close:
            assert now - told_at[leaver] >= WITHIN_S
        told_at |= {leaver: now for leaver, _ in step.notify}


def test_who_goes_is_counted_and_not_closed() -> None:
    moves, (stays, goes) = many(2)
    moves.step(0.0, 2)
    goes.gone = True
    assert moves.step(1.0, 9).left == 1
    assert moves.step(WITHIN_S, 9).close == [stays]
    assert moves.step(99.0, 9).close == []


def test_who_went_before_being_told_is_forgotten() -> None:
    moves, leavers = many(3)
    for leaver in leavers:
        leaver.gone = True
    step = moves.step(0.0, 9)
    assert (step.notify, step.left, moves.waiting) == ([], 0, 0)


def test_who_belongs_here_again_stays() -> None:
    moves, (waits, told) = many(2)
    moves.set_destination(waits, None)
    moves.step(0.0, 9)
    moves.set_destination(told, None)
    assert moves.step(99.0, 9).close == []


def test_another_target_is_told_and_the_same_one_is_not() -> None:
    moves, (one,) = many(1)
    moves.step(0.0, 9)
    moves.set_destination(one, "http://b")
    assert moves.step(1.0, 9).notify == []
    moves.set_destination(one, "http://c")
    assert moves.step(5.0, 9).notify == [(one, "http://c")]
    assert moves.step(WITHIN_S, 9).close == [], "the new target has its own time"


def test_who_was_told_the_right_target_is_not_told_one_that_held_for_a_moment_only() -> None:
    moves, (one,) = many(1)
    moves.step(0.0, 9)
    moves.set_destination(one, "http://c")
    moves.set_destination(one, "http://b")
    assert (moves.step(1.0, 9).notify, moves.waiting) == ([], 0)


def test_a_newcomer_is_not_told_before_its_time() -> None:
    moves: Moves[Leaver] = Moves(within_s=WITHIN_S)
    moves.set_destination(newcomer := Leaver(), "http://b", 2.0)
    moves.set_destination(newcomer, "http://b")
    assert moves.step(1.9, 9).notify == []
    assert moves.step(2.0, 9).notify == [(newcomer, "http://b")]


@given(st.floats(0.1, 1000.0), st.lists(st.floats(0.0, 5.0), max_size=60))
def test_a_bucket_gives_its_rate_and_at_most_a_burst_more(per_s: float, pauses: list[float]) -> None:
    bucket, now, given_out = Bucket(), 0.0, 0
    for pause in pauses:
        now += pause
        taken = bucket.take(now, per_s)
        assert taken <= 1 + 0.2 * per_s
        given_out += taken
    assert given_out <= per_s * now + 1e-6


@given(st.floats(0.1, 1000.0))
def test_a_bucket_that_is_emptied_often_gives_all_of_its_rate(per_s: float) -> None:
    bucket = Bucket()
    given_out = sum(bucket.take(n / 10, per_s) for n in range(101))
    assert 10 * per_s - 1 - 1e-6 <= given_out <= 10 * per_s + 1e-6


@given(st.floats(1.0, 100.0), st.integers(0, 20_000), st.floats(1.0, 100.0))
def test_with_little_time_left_as_many_are_told_as_it_takes(
    per_s: float, waiting: int, left_s: float
) -> None:
    assert pace(per_s, waiting=waiting, left_s=None) == per_s
    hurried = pace(per_s, waiting=waiting, left_s=left_s)
    assert hurried >= per_s
    assert hurried * left_s >= waiting - 1e-6
    assert hurried == per_s or hurried * left_s <= waiting + 1e-6, "the others let in no more than it takes"
    for none_left_s in (0.0, -left_s):
        assert hurried <= pace(per_s, waiting=waiting, left_s=none_left_s) < inf, "who is late hurries"
