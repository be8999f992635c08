"""The figures of a simulation as one picture: a row of charts for each scenario, then the curve."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dispatcher.load_draft import CALM, FULL
from tests.dispatch_simulation.curve import Point
from tests.dispatch_simulation.run import Step

CHART_INCHES: Final = (4.2, 2.3)


def picture(runs: Mapping[str, Sequence[Step]], curve: Sequence[Point]) -> Figure:
    """Return the picture of all runs, by their titles, and of the curve where there is one."""
    rows, (width, height) = len(runs) + bool(curve), CHART_INCHES
    figure = Figure(figsize=(3 * width, rows * height), layout="constrained")
    grid = figure.subplots(rows, 3, squeeze=False)
    for (title, steps), charts in zip(runs.items(), grid, strict=False):
        _draw_run(title, steps, charts)
    if curve:
        first, *others = grid[-1]
        _draw_curve(curve, first)
        for unused in others:
            unused.remove()
    return figure


def _draw_run(title: str, steps: Sequence[Step], charts: Sequence[Axes]) -> None:
    fullness, shards, moved = charts
    minutes = [step.at_s / 60 for step in steps]
    fullness.plot(minutes, [step.fullest for step in steps], label="fullest")
    fullness.plot(minutes, [step.p99 for step in steps], label="p99")
    fullness.plot(minutes, [step.mean for step in steps], label="mean")
    _finish(fullness, f"{title}: how full edges are", "minutes", marks=(CALM, FULL))
    shards.plot(minutes, [step.shards / max(1, step.serving) for step in steps])
    _finish(shards, "Shards an edge", "minutes", marks=(1,))
    moved.plot(minutes, list(accumulate(step.moved for step in steps)))
    _finish(moved, "Clients moved so far, of all", "minutes")
    for chart in charts:
        chart.set_ylim(bottom=0)


def _draw_curve(curve: Sequence[Point], chart: Axes) -> None:
    for what in curve[0].ms:
        chart.loglog([point.edges for point in curve], [point.ms[what] for point in curve], label=what)
    _finish(chart, "CPU time of a decision, ms", "edges", marks=(10,))


def _finish(chart: Axes, title: str, x_name: str, marks: Sequence[float] = ()) -> None:
    """Name what is drawn; ``marks`` are levels to compare it with."""
    for mark in marks:
        chart.axhline(mark, color="0.6", linestyle="--", linewidth=0.8)
    chart.set_title(title, fontsize=9)
    chart.set_xlabel(x_name, fontsize=7)
    chart.tick_params(labelsize=7)
    chart.grid(alpha=0.3, linewidth=0.5)
    if len(chart.get_legend_handles_labels()[1]) > 1:
        chart.legend(fontsize=7, frameon=False)
