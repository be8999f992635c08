"""What the figures rest on: both sides in turns, medians, and percentiles that are measured values."""

from hypothesis import given
from hypothesis import strategies as st

from tests.bench.rounds import Compared, Figures, compare, percentile

times = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=200)
shares = st.floats(min_value=0.001, max_value=1.0)


@given(times, shares)
def test_a_percentile_is_a_measured_value_that_the_share_does_not_exceed(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9


@given(times)
def test_the_whole_share_is_the_largest_value(values: list[float]) -> None:
    assert percentile(values, 1.0) == max(values)


async def test_both_sides_take_turns_and_the_first_round_of_each_does_not_count() -> None:
    asked: list[str] = []

    async def ours() -> Figures:
        asked.append("ours")
        return {"n": len(asked)}

    async def reference() -> Figures:
        asked.append("reference")
        return {"n": len(asked)}

    compared = await compare(3, ours, reference)
    assert asked == ["ours", "reference"] * 4
    assert [one["n"] for one in compared.ours] == [3, 5, 7]
    assert [one["n"] for one in compared.reference] == [4, 6, 8]


def test_a_row_holds_the_medians_so_one_disturbed_round_changes_nothing() -> None:
    compared = Compared([{"us": us} for us in (2.0, 900.0, 4.0)], [{"us": us} for us in (8.0, 8.0, 1.0)])
    row = compared.row("delivery", "us", "µs")
    assert (row.ours, row.reference, row.ratio) == (4.0, 8.0, 0.5)
