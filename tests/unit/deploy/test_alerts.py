"""Alerts: each has its cases, its page, and names only what exists; promtool decides whether they fire."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.shared_panels import HISTORY
from deploy.repository import REPOSITORY
from runtime import metrics
from tests.unit.api_gateway.parts import PUBLIC, ROUTES
from tests.unit.deploy.prometheus import FOLDER, jobs_in, promtool, routes_in, series_names, with_promtool

RUNBOOKS = REPOSITORY / "docs" / "operating" / "runbooks"
SECTIONS = ("## What it means", "## What to look at", "## What to do")
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]
CASES = (FOLDER / "alerts_test.yaml").read_text()

pytestmark = pytest.mark.timeout(300)
"""All cases take promtool 20 s of CPU time, and it may get little of it."""

every = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])


@with_promtool
def test_each_alert_fires_in_its_case_and_none_while_all_is_well() -> None:
    done = promtool("test", "rules", "alerts_test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@with_promtool
@pytest.mark.parametrize(
    "expr", [pytest.param("vector(1)", id="always fires"), pytest.param("vector(1) > 2", id="never fires")]
)
def test_the_cases_notice_every_alert_that(expr: str, tmp_path: Path) -> None:
    broken = [{**rule, "expr": expr, "for": "0s"} for rule in RULES]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": [{"name": "chat", "rules": broken}]}))
    # Rules that ask for nothing say the same however often they are looked at: once in each case is enough.
    once = CASES.replace("evaluation_interval: 15s", "evaluation_interval: 1d")
    (tmp_path / "alerts_test.yaml").write_text(once)
    done = promtool("test", "rules", "alerts_test.yaml", cwd=tmp_path)
    assert done.returncode != 0
    noticed = set(re.findall(r'alertname=\\?"(\w+)', done.stdout + done.stderr))
    assert noticed == {rule["alert"] for rule in RULES}


@with_promtool
def test_prometheus_takes_its_configuration() -> None:
    done = promtool("check", "config", "prometheus.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@every
def test_an_alert_names_only_metrics_and_jobs_that_exist(rule: dict[str, Any]) -> None:
    named = set(re.findall(r"\bchat_\w+", rule["expr"]))
    assert named <= series_names()
    assert named or "up{" in rule["expr"]
    assert set(jobs_in(rule["expr"])) <= set(metrics.OF_ONE_SERVICE)


@every
def test_an_alert_watches_only_routes_that_exist(rule: dict[str, Any]) -> None:
    assert set(routes_in(rule["expr"])) <= ROUTES


def test_every_route_by_which_students_read_history_is_watched() -> None:
    (expr,) = (rule["expr"] for rule in RULES if rule["alert"] == "ChatHistoryFailing")
    reads = {route.path for route in PUBLIC if route.method == "GET"}
    assert set(routes_in(expr)) == {path for path in reads if "message" in path.split("/")}, (
        "ChatHistoryFailing in deploy/prometheus/alerts.yaml names each"
    )
    assert set(routes_in(HISTORY)) == set(routes_in(expr)), "HISTORY in deploy/grafana/shared_panels.py, too"


def test_a_job_is_a_service_and_shows_its_metrics_where_prometheus_looks() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    assert {job["job_name"] for job in config["scrape_configs"]} == set(metrics.OF_ONE_SERVICE)


@every
def test_an_alert_has_a_page_that_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["runbook"] == f"docs/operating/runbooks/{rule['alert']}.md"
    text = (REPOSITORY / rule["annotations"]["runbook"]).read_text()
    assert text.startswith(f"# {rule['alert']}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == list(SECTIONS)


def test_the_page_of_kafka_s_outage_names_every_alert_that_is_silent_meanwhile() -> None:
    follows = {
        rule["alert"] for rule in RULES if re.search(r'ALERTS\{alertname=~?"ChatKafkaDown', rule["expr"])
    }
    named = set(re.findall(r"\bChat\w+", (RUNBOOKS / "ChatKafkaDown.md").read_text()))
    # Reads of history do not follow from it: they fail only if the store is away.
    assert follows - {"ChatHistoryFailing"} <= named


def test_no_page_is_about_an_alert_that_is_gone() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {rule["alert"] for rule in RULES}
