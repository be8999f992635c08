"""Dashboards: their files are what the boards say, and every query names only metrics that exist."""

import json
import math
import re
from typing import Any

import pytest
import yaml

from deploy.grafana.dashboards import BOARDS, FOLDER, SOURCE, dashboard, text
from deploy.grafana.panels import BYTES, NUMBER, PER_SECOND, SECONDS, Board, Panel
from deploy.grafana.pictures import draw, named, scaled, with_gaps
from deploy.prometheus.local_prometheus import Prometheus, Series
from runtime import metrics
from tests.unit.api_gateway.parts import ROUTES
from tests.unit.deploy.prometheus import jobs_in, routes_in, series_names

PROVISIONING = FOLDER.parent / "provisioning"
PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}
PANELS = [panel for board in BOARDS for row in board.rows for panel in row.panels]

each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)


@each_board
def test_a_dashboard_s_file_is_what_its_board_says(board: Board) -> None:
    path = FOLDER / f"{board.uid}.json"
    assert path.read_text() == text(board), "run: python -m deploy.grafana.dashboards"


def test_no_dashboard_is_left_of_a_board_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {board.uid for board in BOARDS}


@each_panel
def test_a_panel_names_only_metrics_jobs_and_routes_that_exist(panel: Panel) -> None:
    for expr in panel.lines.values():
        named_here = set(re.findall(r"\b(?:chat|process)_\w+", expr))
        assert named_here
        assert named_here <= series_names() | PROCESS
        assert set(jobs_in(expr)) <= set(metrics.OF_ONE_SERVICE)
        assert set(routes_in(expr)) <= ROUTES


@each_panel
def test_a_panel_says_what_it_shows(panel: Panel) -> None:
    assert panel.about.endswith(".")
    assert panel.unit in {SECONDS, PER_SECOND, BYTES, NUMBER}


@each_board
def test_panels_neither_overlap_nor_share_an_id(board: Board) -> None:
    panels: list[dict[str, Any]] = dashboard(board)["panels"]
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_dashboards_ask_the_source_that_is_provisioned() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources/prometheus.yaml").read_text())["datasources"]
    assert {"type": source["type"], "uid": source["uid"]} == SOURCE
    for path in FOLDER.glob("*.json"):
        for panel in json.loads(path.read_text())["panels"]:
            assert panel["type"] == "row" or panel["datasource"] == SOURCE


@each_board
def test_a_picture_of_a_board_has_all_its_panels(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = dict.fromkeys(re.findall(r"\{\{(\w+)\}\}", text(board)), "one")
    monkeypatch.setattr(Prometheus, "query_range", lambda *_: [Series(labels, [(1.0, 2.0)])])
    figure = draw(board, Prometheus("http://nobody"), minutes=1, rate_over="15s")
    assert len(figure.axes) == sum(len(row.panels) for row in board.rows)


def test_a_legend_is_filled_with_the_labels_of_its_line() -> None:
    assert named("go: {{reason}}", Series({"reason": "ping timeout"}, [])) == "go: ping timeout"
    assert named("{{topic}}/{{partition}}", Series({"topic": "chat.users"}, [])) == "chat.users/"


@pytest.mark.parametrize(
    ("unit", "highest", "expected"),
    [
        (SECONDS, 0.02, (1e-3, "ms")),
        (SECONDS, 3.0, (1, "s")),
        (SECONDS, 0.0, (1e-6, "µs")),
        (BYTES, 5e6, (1e6, "MB")),
        (PER_SECOND, 5e6, (1, "/s")),
        (NUMBER, 0, (1, "")),
    ],
)
def test_values_are_shown_in_the_unit_in_which_they_read_well(
    unit: str, highest: float, expected: tuple[float, str]
) -> None:
    assert scaled(unit, highest) == expected


def test_no_line_is_drawn_where_nothing_was_measured() -> None:
    points = [(0.0, 5.0), (1.0, 5.0), (4.0, 7.0), (5.1, 7.0)]
    drawn = list(with_gaps(points, 1.0))
    assert [point for point in drawn if not math.isnan(point[1])] == points
    assert [at for at, value in drawn if math.isnan(value)] == [2.0]
