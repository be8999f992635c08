"""The figures of a simulation as one SVG: a row of charts for each scenario, then the curve."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, log10
from typing import Final

from dispatcher.load_draft import FULL, ROOMY
from dispatcher.simulate.curve import Point
from dispatcher.simulate.run import Step

WIDTH: Final = 340
HEIGHT: Final = 170
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 44, 30
COLOURS: Final = ("#1b6ca8", "#d1495b", "#2e8b57", "#8a6d3b")
LINE_HEIGHT: Final = 12
MAX_POINTS: Final = 170


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart, and what it is called."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """A few lines over one horizontal axis; ``marks`` are levels to compare them with."""

    title: str
    x_name: str
    lines: Sequence[Line]
    marks: Sequence[float] = ()
    logarithmic: bool = False


def picture(runs: Mapping[str, Sequence[Step]], curve: Sequence[Point]) -> str:
    """Return the SVG."""
    rows = [_charts(title, steps) for title, steps in runs.items()]
    if curve:
        rows.append([_curve_chart(curve)])
    width, height = WIDTH * max(len(row) for row in rows), HEIGHT * len(rows)
    drawn = (
        f'<g transform="translate({column * WIDTH},{row * HEIGHT})">{"".join(_drawn(chart))}</g>'
        for row, charts in enumerate(rows)
        for column, chart in enumerate(charts)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="system-ui, sans-serif" font-size="11" fill="#333">'
        f'<rect width="{width}" height="{height}" fill="white"/>{"".join(drawn)}</svg>\n'
    )


def _charts(title: str, steps: Sequence[Step]) -> list[Chart]:
    def line(name: str, value: Callable[[Step], float]) -> Line:
        return Line(name, _thinned([(step.at_s / 60, value(step)) for step in steps]))

    fullness = [
        line("mean", lambda s: s.mean),
        line("p99", lambda s: s.p99),
        line("max", lambda s: s.fullest),
    ]
    return [
        Chart(f"{title}: how full edges are", "minutes", fullness, marks=(ROOMY, FULL)),
        Chart("Shards an edge", "minutes", [line("", lambda s: s.shards / max(1, s.serving))], marks=(1,)),
        Chart("Clients moved so far, of all", "minutes", [Line("", _thinned(list(_so_far(steps))))]),
    ]


def _so_far(steps: Sequence[Step]) -> Iterator[tuple[float, float]]:
    moved = 0.0
    for step in steps:
        moved += step.moved
        yield step.at_s / 60, moved


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Keep the highest point of each stretch: what was worst must be seen."""
    size = ceil(len(points) / MAX_POINTS)
    return [max(points[n : n + size], key=lambda point: point[1]) for n in range(0, len(points), size)]


def _curve_chart(curve: Sequence[Point]) -> Chart:
    lines = [Line(what, [(point.edges, point.ms[what]) for point in curve]) for what in curve[0].ms]
    return Chart("CPU time of a decision, ms", "edges", lines, marks=(10,), logarithmic=True)


class _Scale:
    """Turns a figure of an axis into a place in the drawing."""

    def __init__(self, low: float, high: float, places: tuple[float, float], *, logarithmic: bool) -> None:
        self._turn: Callable[[float], float] = log10 if logarithmic else float
        self._low, self._high = self._turn(low), self._turn(high)
        self._places = places

    def __call__(self, value: float) -> str:
        first, last = self._places
        part = (self._turn(value) - self._low) / ((self._high - self._low) or 1)
        return f"{first + (last - first) * part:.1f}"


def _drawn(chart: Chart) -> Iterator[str]:
    points = [point for line in chart.lines for point in line.points]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low = min(ys) / 2 if chart.logarithmic else 0.0
    high = max([*ys, *chart.marks]) * (2 if chart.logarithmic else 1.1) or 1.0
    across = _Scale(min(xs), max(xs), (LEFT, WIDTH - RIGHT), logarithmic=chart.logarithmic)
    up = _Scale(low, high, (HEIGHT - BOTTOM, TOP), logarithmic=chart.logarithmic)
    yield f'<text x="{LEFT}" y="16" font-weight="600">{escape(chart.title)}</text>'
    yield from _axes(chart, across, up, (min(xs), max(xs)), max(ys))
    name_at = LEFT
    for line, colour in zip(chart.lines, COLOURS, strict=False):
        path = " ".join(f"{across(x)},{up(y)}" for x, y in line.points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        yield f'<text x="{name_at}" y="32" fill="{colour}">{escape(line.name)}</text>'
        name_at += 7 * len(line.name) + 10


def _axes(
    chart: Chart, across: _Scale, up: _Scale, ends: tuple[float, float], highest: float
) -> Iterator[str]:
    bottom = HEIGHT - BOTTOM
    yield f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="#999"/>'
    for x in ends:
        yield f'<text x="{across(x)}" y="{bottom + 14}" text-anchor="middle">{x:,.0f}</text>'
    yield f'<text x="{(LEFT + WIDTH) / 2}" y="{bottom + 14}" text-anchor="middle">{chart.x_name}</text>'
    free = all(abs(float(up(highest)) - float(up(mark))) > LINE_HEIGHT for mark in chart.marks)
    for y in (*chart.marks, highest) if free else chart.marks:
        yield f'<text x="{LEFT - 4}" y="{up(y)}" text-anchor="end" dominant-baseline="middle">{y:.3g}</text>'
    for y in chart.marks:
        yield (
            f'<path d="M{LEFT} {up(y)}H{WIDTH - RIGHT}" fill="none" stroke="#bbb" stroke-dasharray="3 3"/>'
        )
