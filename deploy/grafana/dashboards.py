"""The boards, and ``python -m deploy.grafana.dashboards``: write them as Grafana's JSON, one file each."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from deploy.grafana.edges import EDGES
from deploy.grafana.panels import Board, Panel
from deploy.grafana.persister_and_store import PERSISTER_AND_STORE
from deploy.grafana.way_of_a_message import WAY_OF_A_MESSAGE

BOARDS: Final = (WAY_OF_A_MESSAGE, EDGES, PERSISTER_AND_STORE)
FOLDER: Final = Path(__file__).parent / "dashboards"
COLUMNS: Final = 24
PANEL_HEIGHT: Final = 8
SOURCE: Final = {"type": "prometheus", "uid": "prometheus"}


def dashboard(board: Board) -> dict[str, Any]:
    """Return a board in Grafana's format."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row in board.rows:
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
        panels.append({"type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": place})
        width = COLUMNS // len(row.panels)
        for column, panel in enumerate(row.panels):
            place = {"h": PANEL_HEIGHT, "w": width, "x": column * width, "y": y + 1}
            panels.append({**_plot(panel), "gridPos": place})
        y += 1 + PANEL_HEIGHT
    return {
        "uid": board.uid,
        "title": board.title,
        "tags": ["uni4all-chat"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "panels": [{**panel, "id": number} for number, panel in enumerate(panels, 1)],
    }


def text(board: Board) -> str:
    """Return the content of a board's file."""
    return json.dumps(dashboard(board), indent=1, ensure_ascii=False) + "\n"


def _plot(panel: Panel) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for n, (legend, expr) in enumerate(panel.lines.items())
        ],
    }


if __name__ == "__main__":
    ArgumentParser(prog="python -m deploy.grafana.dashboards", description=__doc__).parse_args()
    for one in BOARDS:
        (FOLDER / f"{one.uid}.json").write_text(text(one))
        print(f"{one.title}: {FOLDER / one.uid}.json")
