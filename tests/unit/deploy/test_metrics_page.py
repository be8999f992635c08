"""The operators' page of metrics is the file of metrics, and each metric is really counted somewhere."""

import re
import subprocess
import sys

import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from deploy.metrics_page import name_of, page, rows
from deploy.repository import REPOSITORY
from runtime import metrics

SERVICES = (*metrics.OF_ONE_SERVICE, "runtime")

every = pytest.mark.parametrize("row", rows(), ids=name_of)


def test_the_page_is_made_from_the_rows_as_they_stand_now() -> None:
    assert (REPOSITORY / "docs/operating/metrics.md").read_text() == page(), (
        "run: python -m deploy.metrics_page > docs/operating/metrics.md"
    )


@pytest.mark.parametrize("name", [name for name, row in vars(metrics).items() if row in rows()])
def test_every_metric_is_counted_by_some_service(name: str) -> None:
    files = [file for folder in SERVICES for file in (REPOSITORY / folder).rglob("*.py")]
    assert any(re.search(rf"\bmetrics\.{name}\b", file.read_text()) for file in files)


@every
def test_no_label_grows_with_the_university(row: MetricWrapperBase) -> None:
    assert not {"up", "user", "group", "room", "edge", "client", "sid"} & set(row._labelnames)


@every
def test_a_name_says_its_service_and_a_text_ends_as_a_sentence(row: MetricWrapperBase) -> None:
    assert name_of(row).startswith("chat_")
    assert row._documentation.endswith(".")
    assert "|" not in row._documentation


@pytest.mark.parametrize("service", sorted(metrics.OF_ONE_SERVICE))
def test_a_service_shows_its_own_and_the_shared_metrics_and_no_other_service_s(service: str) -> None:
    shown = {family.name for family in text_string_to_metric_families(metrics.exposition(service).decode())}
    own = {name_of(row).removesuffix("_total") for row in rows()}
    others = {prefix for name, prefix in metrics.OF_ONE_SERVICE.items() if name != service}
    assert {name for name in own if not name.startswith(tuple(others))} <= shown
    assert not {name for name in shown if name.startswith(tuple(others))}


BEGUN_LATER = {"HTTP_REQUESTS", "READER_REBUILDS", "TASK_RESTARTS"}
"""Readers and tasks begin theirs when they start; how requests end is not known before."""

PRINT_MISSING = """
from prometheus_client import Counter
from runtime import metrics
counters = {name: row for name, row in vars(metrics).items() if isinstance(row, Counter)}
print(*(name for name, row in counters.items() if not next(iter(row.collect())).samples))
"""


def test_a_counter_s_first_event_is_a_rise_from_zero() -> None:
    """In a process of its own: other tests count here."""
    printed = subprocess.run(
        [sys.executable, "-c", PRINT_MISSING], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    assert set(printed.stdout.split()) == BEGUN_LATER
