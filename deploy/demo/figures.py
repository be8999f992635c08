"""The services' metrics as a few figures and one line. Pure: it is given the text of ``/metrics``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from schemas import topics


@dataclass(frozen=True, slots=True)
class Figures:
    """What one service says at one moment."""

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
    """Return what has been going on between two readings of all services, in one line."""

    def total(figure: Callable[[Figures], int]) -> int:
        return sum(figure(one) for one in now.values())

    def rate(figure: Callable[[Figures], int]) -> float:
        """Of those that were there both times. One that has started again counts from zero."""
        both = now.keys() & before.keys()
        return sum(max(0, figure(now[name]) - figure(before[name])) for name in both) / seconds

    return (
        f"connected {total(lambda one: one.connected):>4,}"
        f" · messages/s {rate(lambda one: one.sent):>5.1f}"
        f" · delivered/s {rate(lambda one: one.delivered):>7,.0f}"
        f" · stored {total(lambda one: one.stored):>6,}"
        f" · lag {total(lambda one: one.lag):,}"
    )
