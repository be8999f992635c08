"""What boards are made of: rows of panels of lines, and the expressions that panels need most. Pure."""

from dataclasses import dataclass
from typing import Final

SECONDS: Final = "s"
PER_SECOND: Final = "ops"
BYTES: Final = "bytes"
NUMBER: Final = "short"

RATE_OVER: Final = "$__rate_interval"
"""Grafana puts in here the time over which a rate is taken; whoever asks Prometheus itself must do so."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot. ``lines`` maps a legend (in Grafana's format: ``{{label}}``) to its expression."""

    title: str
    about: str
    lines: dict[str, str]
    unit: str = NUMBER


@dataclass(frozen=True, slots=True)
class Row:
    """Panels beside each other, under a title."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. ``uid`` is its name in addresses, for ever."""

    uid: str
    title: str
    rows: tuple[Row, ...]


def per_s(counter: str, by: str = "") -> str:
    """Return how often a counter counts in a second, over all instances."""
    return f"sum by ({by}) (rate({counter}[{RATE_OVER}]))"


def share(q: float, histogram: str, by: str = "", where: str = "") -> str:
    """Return the quantile ``q`` (0 to 1) of what a histogram has observed."""
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({grouped}) (rate({histogram}_bucket{where}[{RATE_OVER}])))"


def spread(histogram: str, where: str = "") -> dict[str, str]:
    """Return the two lines that tell most of a histogram: its median, and the slowest in a hundred."""
    return {
        "p50": share(0.5, histogram, where=where),
        "p99": share(0.99, histogram, where=where),
    }
