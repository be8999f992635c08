"""Lines over time as inline SVG. Pure: numbers in, text out; the page fetches nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from json import dumps
from math import ceil, floor, log10
from typing import Final, Literal

WIDTH: Final = 640
HEIGHT: Final = 240
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 18, 24

COLOURS: Final = (
    *("#2f6fde", "#e07b1f", "#c0392b", "#2a9d5c", "#7d4bc9", "#0f97a8"),
    *("#a0672e", "#6b7280", "#e0559b", "#b8a400", "#86b83a", "#35c4e8"),
)
Style = Literal["solid", "dashed", "dotted"]
DASHES: Final[dict[Style, str]] = {"solid": "none", "dashed": "7 4", "dotted": "2 3"}


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name and its points (seconds, value). One that is not solid has the text's colour."""

    name: str
    points: Sequence[tuple[float, float]]
    style: Style = "solid"


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time with a name under the plot's top; those not measured are shaded."""

    name: str
    starts: float
    ends: float
    shaded: bool


@dataclass(frozen=True, slots=True)
class Axis:
    """A vertical axis from its lowest to its highest value, linear or logarithmic."""

    unit: str
    lowest: float
    highest: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return how high a value stands, from 0 to 1."""
        if self.logarithmic:
            low, high = log10(self.lowest), log10(self.highest)
            return (log10(max(value, self.lowest)) - low) / (high - low)
        return (value - self.lowest) / (self.highest - self.lowest)

    def ticks(self) -> list[float]:
        """Return the values that get a line."""
        if self.logarithmic:
            return [10.0**power for power in range(round(log10(self.lowest)), round(log10(self.highest)) + 1)]
        return _round_values(self.highest, parts=4)


def axis_for(series: Sequence[Series], unit: str, *, logarithmic: bool = False) -> Axis:
    """Return an axis on which all the series have room. Two plots share one to be comparable."""
    values = [value for one in series for _, value in one.points]
    if logarithmic:
        positive = [value for value in values if value > 0] or [1.0]
        low, high = floor(log10(min(positive))), ceil(log10(max(positive)) + 1e-9)
        return Axis(unit, 10.0**low, 10.0 ** max(high, low + 1), logarithmic=True)
    return Axis(unit, 0.0, max(values, default=0.0) * 1.05 or 1.0)


def plot(title: str, series: Sequence[Series], axis: Axis, seconds: float, bands: Sequence[Band] = ()) -> str:
    """Return one plot with its legend."""
    horizontal = max(seconds, 1.0)

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / horizontal

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(1.0, max(0.0, axis.share(value)))

    parts = [_band(band, x(band.starts), x(band.ends)) for band in bands]
    parts += [_tick(y(value), number(value)) for value in axis.ticks()]
    parts += [_time(x(at), f"{at:g} s") for at in _round_values(horizontal, parts=8)]
    styles = _line_styles(series)
    for one, (colour, style) in zip(series, styles, strict=True):
        points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in one.points)
        dashes = DASHES[style]
        parts.append(f'<polyline points="{points}" style="stroke:{colour};stroke-dasharray:{dashes}"/>')
    data = dumps(
        {
            "unit": axis.unit,
            "seconds": horizontal,
            "series": [[one.name, [[at, round(value, 3)] for at, value in one.points]] for one in series],
        }
    )
    legend = "".join(
        f'<span><i style="border-top:3px {style} {colour}"></i>{escape(one.name)}</span>'
        for one, (colour, style) in zip(series, styles, strict=True)
    )
    return (
        f'<figure data-plot="{escape(data)}"><figcaption>{escape(title)} <small>{escape(axis.unit)}</small>'
        f"</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}'
        f'<line class="cursor" y1="{TOP}" y2="{HEIGHT - BOTTOM}" visibility="hidden"/></svg>'
        f'<p class="legend">{legend}<output></output></p></figure>'
    )


def number(value: float) -> str:
    """Return a number as an axis shows it."""
    for least, unit, sign in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{value / unit:g}{sign}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _line_styles(series: Sequence[Series]) -> list[tuple[str, Style]]:
    """Return colour and style of each line. When the colours are used up they come again, dashed."""
    found: list[tuple[str, Style]] = []
    solid = 0
    for one in series:
        if one.style == "solid":
            found.append((COLOURS[solid % len(COLOURS)], "solid" if solid < len(COLOURS) else "dashed"))
            solid += 1
        else:
            found.append(("var(--ink)", one.style))
    return found


def _band(band: Band, left: float, right: float) -> str:
    shade = (
        f'<rect class="shade" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/>'
        if band.shaded
        else ""
    )
    # A name that its band has no room for would run into the next one.
    fits = right - left > 3 + 6.2 * len(band.name)
    name = f'<text class="band" x="{left + 3:.1f}" y="{TOP - 5}">{escape(band.name)}</text>' if fits else ""
    return (
        f'{shade}<line class="edge" x1="{left:.1f}" x2="{left:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>{name}'
    )


def _tick(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="y" x="{LEFT - 6}" y="{y + 3.5:.1f}">{text}</text>'
    )


def _time(x: float, text: str) -> str:
    return f'<text class="x" x="{x:.1f}" y="{HEIGHT - 8}">{text}</text>'


def _round_values(highest: float, parts: int) -> list[float]:
    """Return values from 0 to ``highest`` in at most ``parts`` steps: 1, 2, 2.5 or 5 times a power of ten."""
    rough = highest / parts
    power = 10.0 ** floor(log10(rough)) if rough > 0 else 1.0
    step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough * (1 - 1e-9))
    return [step * number for number in range(floor(highest / step + 1e-9) + 1)]
