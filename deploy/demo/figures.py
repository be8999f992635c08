"""The services' metrics as a few figures and one line. Pure: it is given the text of ``/metrics``."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from schemas import topics


@dataclass(frozen=True, slots=True)
class Figures:
    """What all services together say at one moment."""

    connected: int = 0
    sent: int = 0
    delivered: int = 0
    stored: int = 0
    lag: int = 0

    @classmethod
    def read(cls, pages: Iterable[str]) -> Self:
        """Return the sums over the ``/metrics`` of all services."""
        sums: dict[str, float] = {}
        for page in pages:
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


def status_line(before: Figures, now: Figures, seconds: float) -> str:
    """Return what has been going on between two readings, in one line."""

    def rate(earlier: int, later: int) -> float:
        """A service that has started again counts from zero."""
        return max(0, later - earlier) / seconds

    return (
        f"connected {now.connected:>4,}"
        f" · messages/s {rate(before.sent, now.sent):>5.1f}"
        f" · delivered/s {rate(before.delivered, now.delivered):>7,.0f}"
        f" · stored {now.stored:>6,}"
        f" · lag {now.lag:,}"
    )
