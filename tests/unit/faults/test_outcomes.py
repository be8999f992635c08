"""The report says of each fault what was done, what was checked, and how long the way back took."""

from collections import Counter

import pytest

from tests.faults.outcomes import Outcome, page, quantile


@pytest.mark.parametrize(("part", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_quantile_is_one_of_the_values(part: float, expected: float) -> None:
    assert quantile([float(n) for n in range(100, 0, -1)], part) == expected


def test_the_page_tells_counts_times_and_what_was_not_kept() -> None:
    kept = Outcome("kill -9", "all promises kept", Counter(kills=1200), [1.0, 2.0, 9.0])
    broken = Outcome("store frozen")
    said = page([kept, broken], title="Faults")
    assert "| kill -9 | yes | 3 | 2.0 s | 9.0 s |" in said
    assert "- **kill -9**: all promises kept\n  (kills 1,200)" in said
    assert "| store frozen | **no** |" in said
    assert "- **store frozen**: not checked: it did not come to its end" in said
