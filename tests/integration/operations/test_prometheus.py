"""A real Prometheus scrapes the running system: no panel, rule or runbook asks for what isn't there."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.demo.local_system import LocalSystem
from deploy.grafana.dashboards import BOARDS
from deploy.grafana.panels import RATE_OVER
from deploy.prometheus.local_prometheus import (
    ALERTS,
    Prometheus,
    Targets,
    configuration,
    is_installed,
    local_prometheus,
)
from deploy.repository import REPOSITORY
from tests.integration.demo.system import Campus
from tests.integration.operations.chatter import chatter

pytestmark = [
    pytest.mark.backing,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not is_installed(), reason="there is no Prometheus here (Debian's package prometheus)"
    ),
]

DEADLINE_S = 120.0
PANELS = {
    f"{board.title} / {panel.title} / {legend}": expr.replace(RATE_OVER, "1m")
    for board in BOARDS
    for row in board.rows
    for panel in row.panels
    for legend, expr in panel.lines.items()
}
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
SELECTOR = re.compile(r"\b(chat_\w+|up)(?:\{([^}]*)\})?")


def targets(system: LocalSystem) -> Targets:
    """Return where the services show their metrics, by job."""
    found: dict[str, list[str]] = {}
    for service in system.services.values():
        found.setdefault(service.argv[-1], []).append(service.ops_url.removeprefix("http://"))
    return found


@pytest.fixture
async def watched(campus: Campus, tmp_path: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus beside a system that chats."""
    with local_prometheus(tmp_path, targets(campus.system)) as prometheus:
        async with chatter(campus) as talking:
            yield Prometheus(prometheus.where)
            assert not talking.done(), talking


async def until_none(what: str, missing: Callable[[], list[str]]) -> None:
    """Wait until nothing is missing any more. Fails with what still is."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DEADLINE_S
    while found := await asyncio.to_thread(missing):
        assert loop.time() < end, f"{what}: {found}"
        await asyncio.sleep(0.5)


def series_that_rules_need() -> Iterator[str]:
    """Yield, for each series that a rule selects, the query of its metric with all labels that are named.

    The values that are asked for need not be there: nobody answers 503 while all is well. Nor is a probe,
    whose series are its own.
    """
    for rule in RULES:
        for name, matchers in SELECTOR.findall(rule["expr"]):
            labels = re.findall(r"(\w+)=", matchers)
            named = ", ".join(f'{label}!=""' for label in labels)
            if not name.startswith("chat_probe_"):
                yield f"count({name}{{{named}}}) > 0"


def queries_of_runbooks() -> Iterator[str]:
    """Yield what runbooks say to look at, as it stands there, but for the instance and for a probe's."""
    for page in (REPOSITORY / "docs" / "operating" / "runbooks").glob("*.md"):
        for query in re.findall(r"`([^`]*\bchat_\w+[^`]*)`", page.read_text()):
            if "chat_probe_" not in query:
                yield query.replace('="INSTANCE"', '!=""')


async def test_every_panel_rule_and_runbook_finds_its_series(watched: Prometheus) -> None:
    needed = {**PANELS, **{query: query for query in (*series_that_rules_need(), *queries_of_runbooks())}}
    assert len(needed) > len(PANELS) > 40

    def missing() -> list[str]:
        for name in [name for name, expr in needed.items() if watched.query(expr)]:
            del needed[name]
        return list(needed)

    await until_none("no data", missing)

    firing = await asyncio.to_thread(watched.query, 'ALERTS{alertstate="firing"}')
    assert [series.labels["alertname"] for series in firing] == []


def test_a_local_prometheus_has_the_jobs_and_alerts_of_production(local_system: LocalSystem) -> None:
    ours = yaml.safe_load(configuration(targets(local_system)))
    production = yaml.safe_load((ALERTS.parent / "prometheus.yaml").read_text())
    jobs = [{job["job_name"] for job in config["scrape_configs"]} for config in (ours, production)]
    assert jobs[0] == jobs[1]
    assert Path(ours["rule_files"][0]).name == production["rule_files"][0]
