"""Budgets: nobody gets more than so many at once and so many a second, and who waits is served."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.budgets import FEWEST_REFUSALS, MOST_REQUEST_COST, SWEEP_FROM, Budget, Budgets, request_cost

steps = st.lists(st.floats(min_value=0.0, max_value=5.0), max_size=200)
rates = st.floats(min_value=0.1, max_value=100.0)
bursts = st.integers(min_value=1, max_value=50)
amounts = st.floats(min_value=1.0, max_value=100.0)
payments = st.lists(st.tuples(st.floats(min_value=0.0, max_value=5.0), amounts), max_size=100)


@given(steps=steps, per_s=rates, burst=bursts)
def test_no_more_than_the_burst_and_the_rate_is_let_through(
    steps: list[float], per_s: float, burst: int
) -> None:
    budget, now, taken = Budget(per_s, burst), 0.0, 0
    for step in steps:
        now += step
        taken += budget.spend(now) >= 0
        assert taken <= burst + per_s * now + 1e-6


@given(steps=steps, per_s=rates, burst=bursts)
def test_who_waits_for_the_debt_and_one_more_is_served(steps: list[float], per_s: float, burst: int) -> None:
    budget, now = Budget(per_s, burst), 0.0
    for step in steps:
        now += step
        budget.spend(now)
    assert budget.spend(now + (2 * burst + 1) / per_s + 1e-6) >= 0


@given(steps=steps, per_s=rates, burst=bursts)
def test_who_takes_only_what_there_is_never_owes_and_soon_gets_one_again(
    steps: list[float], per_s: float, burst: int
) -> None:
    budget, now, taken = Budget(per_s, burst), 0.0, 0
    for step in steps:
        now += step
        taken += budget.take(now)
        assert taken <= burst + per_s * now + 1e-6
        assert budget.left(now) >= 0
    assert budget.take(now + 1 / per_s + 1e-6)


@given(payments=payments, per_s=rates, burst=bursts)
def test_who_waits_as_long_as_is_said_can_pay_and_a_second_earlier_cannot(
    payments: list[tuple[float, float]], per_s: float, burst: int
) -> None:
    budgets, now = Budgets(per_s, burst), 0.0
    for step, amount in payments:
        now += step
        if not budgets.pay("a", now, amount):
            wait_s = budgets.wait_s("a", now, amount)
            wanted = min(amount, burst)
            assert budgets.left("a", now + wait_s + 1e-6) >= wanted
            assert wait_s == 1 or budgets.left("a", now + wait_s - 1 - 1e-6) < wanted
    assert budgets.wait_s("who has not spent", now) == 1


@given(payments=payments, per_s=rates, burst=bursts)
def test_no_more_is_paid_than_the_burst_and_the_rate(
    payments: list[tuple[float, float]], per_s: float, burst: int
) -> None:
    budgets, now, paid, refused = Budgets(per_s, burst), 0.0, 0.0, 0
    for step, amount in payments:
        now += step
        if budgets.pay("a", now, amount):
            paid += min(amount, burst)
        else:
            refused += 1
        assert paid <= burst + per_s * now + 1e-6
        assert refused >= min(burst, FEWEST_REFUSALS) or not budgets.ignores_refusals("a", now)


@given(per_s=rates, burst=bursts, count=st.integers(min_value=1, max_value=300), amount=amounts)
def test_debt_tells_how_often_a_refusal_was_not_heeded(
    per_s: float, burst: int, count: int, amount: float
) -> None:
    budgets = Budgets(per_s, burst)
    assert budgets.pay("a", 0.0, burst + amount), "a full budget allows anything once"
    each = max(1.0, min(amount, burst / FEWEST_REFUSALS))
    for refused in range(1, count + 1):
        assert not budgets.pay("a", 0.0, amount)
        assert budgets.left("a", 0.0) == pytest.approx(max(-refused * each, -2 * burst))
        if abs(refused * each - burst) > 1e-6:
            assert budgets.ignores_refusals("a", 0.0) == (refused * each > burst)


@given(per_s=rates, burst=bursts, steps=steps)
def test_a_clock_that_goes_back_gives_nothing_away(per_s: float, burst: int, steps: list[float]) -> None:
    budget = Budget(per_s, burst)
    for step in sorted(steps, reverse=True):
        before = budget.left(step)
        assert budget.spend(step) <= before


def test_each_spender_has_a_budget_of_their_own() -> None:
    budgets = Budgets(per_s=1, burst=2)
    assert [budgets.spend("a", 0.0) for _ in range(3)] == [1, 0, -1]
    assert budgets.spend("b", 0.0) == 1
    assert [budgets.left(spender, 0.0) for spender in "abc"] == [-1, 1, 2]


@given(per_s=rates, burst=bursts, now=st.floats(0, 1e6), seconds=st.floats(0, 1e3))
def test_who_has_spent_all_gets_back_so_much_a_second_and_never_more_than_the_burst(
    per_s: float, burst: int, now: float, seconds: float
) -> None:
    budget = Budget(per_s, burst)
    assert budget.spend(now, burst) == 0
    assert budget.left(now + seconds) == pytest.approx(min(burst, seconds * per_s), abs=1e-6)


def test_the_idle_are_forgotten_and_debts_are_not() -> None:
    budgets = Budgets(per_s=1, burst=2)
    for _ in range(6):
        budgets.spend("debtor", 3.0)
    for n in range(10 * SWEEP_FROM):
        budgets.spend(f"passer-by {n}", 3.0 + n / SWEEP_FROM / 100)
    assert len(budgets._budgets) <= 10 * SWEEP_FROM + 1
    for n in range(10 * SWEEP_FROM, 40 * SWEEP_FROM):
        budgets.spend(f"passer-by {n}", 5.0 + n / SWEEP_FROM)
    assert len(budgets._budgets) < 30 * SWEEP_FROM
    fresh = Budgets(per_s=0.001, burst=2)
    debt = [fresh.spend("debtor", 0.0) for _ in range(6)][-1]
    for n in range(3 * SWEEP_FROM):
        fresh.spend(str(n), 0.0)
    assert fresh.left("debtor", 0.0) == debt


@given(st.integers(0, 10_000), st.integers(0, 100))
def test_a_request_counts_more_the_more_share_it_and_each_of_them_less(messages: int, more: int) -> None:
    cost = request_cost(messages)
    assert 1.0 <= cost <= request_cost(messages + more) <= MOST_REQUEST_COST
    assert request_cost(messages + more) <= cost + request_cost(more), "sharing is never dearer than not to"


def test_a_message_by_itself_counts_one() -> None:
    assert 1.0 == request_cost(0) == request_cost(1) < request_cost(2) < request_cost(3)
    assert request_cost(1_000) == MOST_REQUEST_COST
