"""A Prometheus of this machine, for developers and tests, and queries by HTTP. Blocking.

The command is Debian's package ``prometheus``; the alerts are those of production.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import yaml

from deploy.local.http_get import http_get
from deploy.local.ports import HOST, prefer_ports
from deploy.local.restartable import RestartableProcess

PORT: Final = 9090
READY_DEADLINE_S: Final = 60.0
ANSWER_DEADLINE_S: Final = 20.0
ALERTS: Final = Path(__file__).with_name("alerts.yaml")

Targets = Mapping[str, Sequence[str]]
"""By job (a service's name): host:port of each instance's ops port."""


class QueryError(RuntimeError):
    """Prometheus did not take a query; the text is its own."""


@dataclass(frozen=True, slots=True)
class Series:
    """One answer of a query: its labels, and its values as (seconds since 1970, value)."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


class Prometheus:
    """Queries a Prometheus, wherever it runs."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, expr: str) -> list[Series]:
        """Return the value of an expression now. Raises `QueryError`, or OSError if nobody answers."""
        found = self._get("/api/v1/query", query=expr)["result"]
        return [Series(one["metric"], [_point(one["value"])]) for one in found]

    def query_range(self, expr: str, start: float, end: float, step_s: float) -> list[Series]:
        """Return the values of an expression between two moments (seconds since 1970)."""
        found = self._get("/api/v1/query_range", query=expr, start=start, end=end, step=step_s)["result"]
        return [Series(one["metric"], [_point(value) for value in one["values"]]) for one in found]

    def _get(self, path: str, **parameters: object) -> Any:
        _, body = http_get(f"{self._url}{path}?{urlencode(parameters)}", ANSWER_DEADLINE_S)
        answer = json.loads(body)
        if answer["status"] != "success":
            raise QueryError(f"{parameters}: {answer['error']}")
        return answer["data"]


def _point(pair: Sequence[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])


def is_installed() -> bool:
    """Say whether this machine has the command."""
    return shutil.which("prometheus") is not None


def configuration(targets: Targets) -> str:
    """Return a configuration file: the jobs of production with other targets, and its alerts."""
    every = "1s"
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": list(places)}]}
                for job, places in targets.items()
            ],
        }
    )


class PrometheusProcess(RestartableProcess):
    """A Prometheus of this machine, with its data in ``folder``."""

    def __init__(self, folder: Path, targets: Targets) -> None:
        (port,) = prefer_ports([PORT])
        config = folder / "prometheus.yaml"
        config.write_text(configuration(targets))
        super().__init__(
            "prometheus",
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={HOST}:{port}",
            ],
            where=f"http://{HOST}:{port}",
            start_deadline_s=READY_DEADLINE_S,
            log_file=folder / "prometheus.log",
        )

    def is_ready(self) -> bool:
        """Whether it answers queries."""
        try:
            return http_get(f"{self.where}/-/ready", ANSWER_DEADLINE_S)[0] == 200
        except OSError:
            return False


@contextmanager
def local_prometheus(folder: Path, targets: Targets) -> Iterator[PrometheusProcess]:
    """Run a Prometheus for the length of the block. Raises where it does not get ready."""
    process = PrometheusProcess(folder, targets)
    try:
        process.start()
        yield process
    finally:
        process.stop()
