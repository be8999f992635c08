"""The services' metrics as a few figures and one line. Pure: it is given the text of ``/metrics``."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, Self

from prometheus_client.parser import text_string_to_metric_families

from schemas import topics

UNKNOWN: Final = "\N{EN DASH}"
"""Shown for a figure that is not known because its services have all ended."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one service at one moment."""

    connected: int = 0
    sent: int = 0
    delivered: int = 0
    stored: int = 0
    lag: int = 0

    @classmethod
    def read(cls, page: str) -> Self:
        """Return the sums over its ``/metrics``."""
        sums: dict[str, float] = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.labels.get("topic", topics.MESSAGES) == topics.MESSAGES:
                    sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
        return cls(
            connected=int(sums.get("chat_edge_connections", 0)),
            sent=int(sums.get("chat_edge_messages_in_total", 0)),
            delivered=int(sums.get("chat_edge_deliveries_total", 0)),
            stored=int(sums.get("chat_persister_stored_total", 0)),
            lag=int(sums.get("chat_persister_lag_records", 0)),
        )


ByService = Mapping[str, Figures]


def status_line(before: ByService, now: ByService, seconds: float) -> str:
    """Return one line with rates between two readings of all living services."""
    edges = {name for name in now if name.startswith("edge-")}
    persisters = now.keys() & {"persister"}

    def total(services: AbstractSet[str], figure: Callable[[Figures], int]) -> int | None:
        return sum(figure(now[name]) for name in services) if services else None

    def rate(figure: Callable[[Figures], int]) -> float | None:
        """Return the rate over the edges in both readings; a restarted one counts as 0."""
        both = edges & before.keys()
        grown = sum(max(0, figure(now[name]) - figure(before[name])) for name in both)
        return grown / seconds if edges else None

    return (
        f"connected {_shown(total(edges, lambda one: one.connected), ',', 4)}"
        f" · messages/s {_shown(rate(lambda one: one.sent), '.1f', 5)}"
        f" · delivered/s {_shown(rate(lambda one: one.delivered), ',.0f', 7)}"
        f" · stored {_shown(total(persisters, lambda one: one.stored), ',', 6)}"
        f" · lag {_shown(total(persisters, lambda one: one.lag), ',', 0)}"
    )


def _shown(figure: float | None, how: str, width: int) -> str:
    return (UNKNOWN if figure is None else format(figure, how)).rjust(width)
