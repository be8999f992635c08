"""The laws of simulated people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.up_number import CIRCLE
from tests.dispatch_simulation.population import Population

PEOPLE = Population.zipf(7)
CROWDED = PEOPLE.with_crowd(370_000_000, 380_000_000, 0.5)


def test_the_commonest_last_digit_has_ten_times_the_people_of_the_rarest() -> None:
    digits = [PEOPLE.between(n * CIRCLE // 10, (n + 1) * CIRCLE // 10) for n in range(10)]
    assert sum(digits) == pytest.approx(1)
    assert max(digits) / min(digits) == pytest.approx(10)


def test_a_crowd_comes_on_top_and_only_where_it_is() -> None:
    assert CROWDED.below(CIRCLE) == pytest.approx(1.5)
    assert CROWDED.below(370_000_000) == pytest.approx(PEOPLE.below(370_000_000))
    assert CROWDED.between(370_000_000, 380_000_000) == pytest.approx(
        PEOPLE.between(370_000_000, 380_000_000) + 0.5
    )


@given(st.integers(0, CIRCLE))
def test_a_point_is_found_again_by_how_many_stand_below_it(point: int) -> None:
    assert CROWDED.point_at(CROWDED.below(point)) == pytest.approx(point, abs=10)
