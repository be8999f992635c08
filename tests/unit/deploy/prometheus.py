"""promtool, which decides what rules and configurations say, and the names by which Prometheus knows us."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Histogram

from deploy.metrics_page import name_of, rows
from deploy.repository import REPOSITORY
from loadtest.probe import REGISTRY

FOLDER = REPOSITORY / "deploy" / "prometheus"
with_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="there is no promtool here (Debian's package prometheus)"
)


def promtool(*arguments: str, cwd: Path = FOLDER) -> "subprocess.CompletedProcess[str]":
    # It makes and forgets a database a case: Go's collector alone would take a quarter of its time.
    env = {**os.environ, "GOGC": "800"}
    command = ["promtool", *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=290)


def series_names() -> set[str]:
    """Return every name that Prometheus stores for our metrics, and for those of the probe."""
    histograms = [name_of(row) for row in rows() if isinstance(row, Histogram)]
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
    of_probe = {sample.name for metric in REGISTRY.collect() for sample in metric.samples}
    return of_probe | parts | {name_of(row) for row in rows() if not isinstance(row, Histogram)}


def jobs_in(expr: str) -> Iterator[str]:
    """Yield the jobs that an expression asks for."""
    for found in re.findall(r'job=~?"([^"]+)"', expr):
        yield from found.split("|")


def routes_in(expr: str) -> Iterator[str]:
    """Yield the routes that an expression asks for."""
    for found in re.findall(r'\broute=~?"([^"]+)"', expr):
        yield from found.split("|")
