"""``python -m deploy.metrics_page``: print the page of all metrics, from ``runtime/metrics.py``."""

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from runtime import metrics

KINDS: Final = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}

HEAD: Final = """\
# Metrics

Each service shows them at `/metrics` on its ops port, beside the usual `process_*` and `python_*` of every
process. No label holds a user or a group. `python -m deploy.metrics_page` makes this page from
`runtime/metrics.py`.

A counter's rate is what matters, e.g. `rate(chat_edge_messages_in_total[1m])`. A histogram `x` is read by
`histogram_quantile(0.99, sum by (le) (rate(x_bucket[5m])))`.
"""


def rows() -> list[MetricWrapperBase]:
    """Return all metrics, in the order of their file."""
    return [row for row in vars(metrics).values() if isinstance(row, MetricWrapperBase)]


def name_of(row: MetricWrapperBase) -> str:
    """Return the name under which Prometheus stores a metric (a histogram: without what it appends)."""
    (family,) = row.describe()
    return f"{family.name}_total" if isinstance(row, Counter) else family.name


def page() -> str:
    """Return the page in Markdown."""
    parts = [HEAD, *_section("Every service", (row for row in rows() if not _prefix(row)))]
    for service, prefix in metrics.OF_ONE_SERVICE.items():
        parts += _section(f"`{service}`", (row for row in rows() if _prefix(row) == prefix))
    return "\n".join(parts) + "\n"


def _prefix(row: MetricWrapperBase) -> str:
    """Return how the name begins, where only one service has this metric."""
    found = (prefix for prefix in metrics.OF_ONE_SERVICE.values() if name_of(row).startswith(prefix))
    return next(found, "")


def _section(title: str, found: Iterable[MetricWrapperBase]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| metric | kind | labels | what it says, and what to do |"
    yield "|---|---|---|---|"
    for row in found:
        (family,) = row.describe()
        labels = ", ".join(f"`{label}`" for label in row._labelnames)  # noqa: SLF001 - no public way
        yield f"| `{name_of(row)}` | {KINDS[type(row)]} | {labels} | {family.documentation} |"
    yield ""


if __name__ == "__main__":
    ArgumentParser(prog="python -m deploy.metrics_page", description=__doc__).parse_args()
    print(page(), end="")
