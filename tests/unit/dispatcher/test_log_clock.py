"""Laws of the clock that stands still while the log does."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.log_clock import GAP_S, RESEND_AFTER_S, TICK_S, LogClock


def test_one_tick_is_under_way_at_a_time() -> None:
    clock = LogClock()
    assert clock.due(1000.0)
    clock.send(1000.0)
    assert not clock.due(1000.0 + TICK_S)
    clock.tick_returned(1, 1000.0 + TICK_S)
    assert clock.due(1000.0 + TICK_S)


def test_a_tick_that_does_not_come_back_is_sent_again_later() -> None:
    clock = LogClock()
    clock.send(0.0)
    assert not clock.due(RESEND_AFTER_S - 0.1)
    assert clock.due(RESEND_AFTER_S)


def test_ticks_of_which_none_ever_came_back_are_missed_since_the_first() -> None:
    clock = LogClock()
    assert clock.age(0.0) == 0.0
    for monotonic in (0.0, RESEND_AFTER_S, 2 * RESEND_AFTER_S):
        clock.send(monotonic)
    assert clock.age(2 * RESEND_AFTER_S + 1.0) == 2 * RESEND_AFTER_S + 1.0


def test_a_tick_that_comes_back_twice_counts_once() -> None:
    clock = LogClock()
    clock.send(0.0)
    clock.tick_returned(1, 0.1)
    now = clock.now
    assert not clock.tick_returned(1, 100.0)
    assert clock.now == now


def test_before_the_first_tick_came_back_nothing_was_missed() -> None:
    clock = LogClock()
    clock.send(0.0)
    assert not clock.tick_returned(1, 20.0), "nobody was heard before, so nobody needs to be excused"
    assert clock.now == 0.0


def test_twenty_seconds_without_kafka_are_one_tick() -> None:
    clock = LogClock()
    clock.send(0.0)
    clock.tick_returned(1, 0.0)
    clock.send(0.5)
    assert clock.tick_returned(2, 20.5)
    assert clock.now == TICK_S
    assert clock.age(21.0) == 0.5


@given(st.lists(st.floats(TICK_S + 0.001, GAP_S - 0.001), max_size=50))
def test_while_ticks_come_back_the_clock_keeps_the_time(pauses: list[float]) -> None:
    clock, monotonic = LogClock(), 1000.0
    clock.tick_returned(clock.send(monotonic), monotonic)
    for pause in pauses:
        monotonic += pause
        assert clock.due(monotonic)
        clock.tick_returned(clock.send(monotonic), monotonic)
    assert abs(clock.now - sum(pauses)) < 1e-6


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans()), max_size=80))
def test_the_clock_never_runs_ahead_of_time_and_counts_no_gap(steps: list[tuple[float, bool]]) -> None:
    clock, monotonic = LogClock(), 0.0
    for pause, comes_back in steps:
        monotonic += pause
        before = clock.now
        if clock.due(monotonic):
            clock.send(monotonic)
        gap = comes_back and clock.tick_returned(clock.number, monotonic)
        assert 0 <= clock.now - before <= (TICK_S if gap else GAP_S) + 1e-6
        assert clock.now <= monotonic + 1e-6
