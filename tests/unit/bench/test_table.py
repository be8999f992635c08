"""The table loses no row and no figure's size, and the report holds every sample."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.bench.table import Row, as_json, as_text, figure

figures = st.floats(min_value=1e-6, max_value=1e9)
rows = st.builds(
    Row,
    name=st.text(alphabet="abc xyz", min_size=1, max_size=60),
    unit=st.sampled_from(["µs", "1/s"]),
    better=st.sampled_from(["lower", "higher"]),
    ours=figures,
    reference=st.none() | figures,
    ours_samples=st.lists(figures, max_size=5),
    reference_samples=st.lists(figures, max_size=5),
)


@given(st.lists(rows, max_size=10))
def test_each_row_is_one_line_under_the_heads(made: list[Row]) -> None:
    lines = as_text(made).split("\n")
    assert len(lines) == len(made) + 1
    assert all(line.startswith(row.name) for line, row in zip(lines[1:], made, strict=True))


@given(figures)
def test_a_shown_figure_is_within_half_a_percent(value: float) -> None:
    assert abs(float(figure(value).replace(",", "")) - value) <= 0.005 * value


@given(st.lists(rows, max_size=10))
def test_the_report_is_json_and_holds_all_samples(made: list[Row]) -> None:
    report = json.loads(json.dumps(as_json(made, "a machine", 1.0)))
    assert [row["ours_samples"] for row in report["rows"]] == [list(row.ours_samples) for row in made]
    assert [row["ratio"] for row in report["rows"]] == [row.ratio for row in made]
