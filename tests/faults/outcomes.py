"""What a fault did, in figures: collected while it is tried, and written as a page that a person can read."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """One fault: what was done, what was checked, counts, and how long it took until all was well again."""

    done: str
    checked: str = ""
    """Said last: where nothing stands here, the test did not come to its end."""
    counts: Counter[str] = field(default_factory=Counter)
    recovered_s: list[float] = field(default_factory=list)


def quantile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that ``part`` of all values don't exceed; NaN where there is none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else math.nan


def page(outcomes: Sequence[Outcome], *, title: str) -> str:
    """Return the report, as Markdown."""
    return "\n".join([f"# {title}", "", *_table(outcomes), "", *_details(outcomes), ""])


def _table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "| fault | kept | times | to recover, p50 | p99 |"
    yield "|---|---|---|---|---|"
    for one in outcomes:
        p50, p99 = (_seconds(quantile(one.recovered_s, part)) for part in (0.5, 0.99))
        kept = "yes" if one.checked else "**no**"
        yield f"| {one.done} | {kept} | {len(one.recovered_s) or ''} | {p50} | {p99} |"


def _details(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for one in outcomes:
        counts = " · ".join(f"{what} {count:,}" for what, count in one.counts.items())
        yield f"- **{one.done}**: {one.checked or 'not checked: it did not come to its end'}"
        if counts:
            yield f"  ({counts})"


def _seconds(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f} s"
