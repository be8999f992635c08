"""``python -m deploy.grafana.pictures``: draw the boards from what a Prometheus measured, without Grafana.

It uses the queries of the panels. For the docs, and for use without Grafana.
"""

import argparse
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deploy.grafana.dashboards import BOARDS
from deploy.grafana.panels import BYTES, NUMBER, PER_SECOND, RATE_OVER, SECONDS, Board, Panel
from deploy.prometheus.local_prometheus import PORT, Prometheus, Series

POINTS: Final = 240
ROOM_FOR_LEGENDS: Final = 1.35
PANEL_INCHES: Final = (4.2, 2.1)
SCALES: Final = {
    SECONDS: ((1, "s"), (1e-3, "ms"), (1e-6, "µs")),
    BYTES: ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")),
    PER_SECOND: ((1, "/s"),),
    NUMBER: ((1, ""),),
}


def draw(board: Board, prometheus: Prometheus, *, minutes: float, rate_over: str) -> Figure:
    """Return a board as one figure over the last minutes. Raises OSError where nobody answers."""
    end = time.time()
    start = end - minutes * 60
    step = minutes * 60 / POINTS
    columns = max(len(row.panels) for row in board.rows)
    width, height = PANEL_INCHES
    figure = Figure(figsize=(width * columns, height * len(board.rows) + 0.4), layout="constrained")
    figure.suptitle(board.title, fontsize=12, fontweight="bold")
    parts = list(figure.subfigures(len(board.rows), 1, squeeze=False).flat)
    for part, row in zip(parts, board.rows, strict=True):
        part.suptitle(row.title, fontsize=9, x=0.01, ha="left", color="#345")
        places = part.subplots(1, columns)
        for axes in places[len(row.panels) :]:
            axes.remove()
        for axes, panel in zip(places, row.panels, strict=False):
            series = {
                legend: prometheus.query_range(expr.replace(RATE_OVER, rate_over), start, end, step)
                for legend, expr in panel.lines.items()
            }
            _plot(axes, panel, series, start, step)
            axes.set_xlim(0, minutes * 60)  # one time for all: what happens at once stands below each other
    return figure


def named(legend: str, series: Series) -> str:
    """Return a legend with its labels filled in: ``{{reason}}`` → ``ping timeout``."""
    return re.sub(r"\{\{(\w+)\}\}", lambda label: series.labels.get(label[1], ""), legend)


def scaled(unit: str, highest: float) -> tuple[float, str]:
    """Return what a panel's values are divided by, and what they are called then."""
    fitting = [scale for scale in SCALES[unit] if scale[0] <= highest]
    return (fitting or SCALES[unit][-1:])[0]


def with_gaps(points: Iterable[tuple[float, float]], step: float) -> Iterator[tuple[float, float]]:
    """Yield the points, and one without a value where some are missing: no line is drawn there."""
    before = math.inf
    for at, value in points:
        if at - before > 1.5 * step:
            yield before + step, math.nan
        yield at, value
        before = at


def _plot(axes: Axes, panel: Panel, lines: Mapping[str, Sequence[Series]], start: float, step: float) -> None:
    drawn = [(named(legend, one), one) for legend, found in lines.items() for one in found]
    values = [value for _, one in drawn for _, value in one.points if not math.isnan(value)]
    factor, unit = scaled(panel.unit, max(values, default=0))
    for name, one in drawn:
        at, value = zip(*with_gaps(one.points, step), strict=True)
        axes.plot([x - start for x in at], [y / factor for y in value], label=name[:28], linewidth=1)
    axes.set_title(f"{panel.title} [{unit}]" if unit else panel.title, fontsize=8)
    axes.set_ylim(0, (max(values, default=0) or 1) / factor * ROOM_FOR_LEGENDS)
    axes.set_xlabel("s", fontsize=6)
    axes.tick_params(labelsize=6)
    axes.grid(alpha=0.3, linewidth=0.5)
    if drawn:
        axes.legend(fontsize=5, loc="upper left", ncols=2, frameon=False)


def main() -> None:
    """Write one PNG a board."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana.pictures", description=__doc__)
    parser.add_argument("--prometheus", default=f"http://127.0.0.1:{PORT}", help="default: %(default)s")
    parser.add_argument("--minutes", type=float, default=5, help="how far back (default: %(default)s)")
    parser.add_argument("--rate-over", default="15s", help="time of a rate (default: %(default)s)")
    parser.add_argument("--into", type=Path, default=Path(), help="folder of the pictures (default: here)")
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        path = arguments.into / f"{board.uid}.png"
        figure = draw(
            board, Prometheus(arguments.prometheus), minutes=arguments.minutes, rate_over=arguments.rate_over
        )
        figure.savefig(path, dpi=110)
        print(path)


if __name__ == "__main__":
    main()
