"""The page stands alone, shows what was judged, and two runs share their plots' axes."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.plots import Axis, Series, axis_for, plot
from loadtest.report import page
from loadtest.results import ServersSample
from loadtest.scenario import Objectives, Replay
from loadtest.server_side import ServerMoment
from tests.unit.balanced_html import Balanced
from tests.unit.loadtest.results import result


def test_the_page_needs_nothing_else() -> None:
    text = page([result()])
    assert not re.findall(r'(?:src|href)="', text)
    assert not re.findall(r"@import|url\(", text)
    assert "{{" not in text


@pytest.mark.parametrize("count", [1, 2])
def test_every_element_that_needs_an_end_has_one(count: int) -> None:
    parser = Balanced("tr", "td", "th", "p")
    parser.feed(page([result(name="a"), result(name="b")][:count]))
    assert parser.open == []


def test_names_from_outside_stay_text() -> None:
    text = page([result(name="<img src=x onerror=alert(1)>")])
    assert "<img src" not in text
    assert "talk & <more>" not in text


def test_what_was_missed_is_shown_as_missed() -> None:
    text = page([result(objectives=Objectives(p99_ms=1), faults={"missing": 3})])
    assert "objectives missed" in text
    assert "3 missing" in text
    assert "objectives held" in page([result()])


def test_how_far_the_store_is_behind_is_shown_only_where_it_was_seen() -> None:
    one = result()
    without = [
        ServersSample(at=look.at, servers={name: of for name, of in look.servers.items() if name != "store"})
        for look in one.servers
    ]
    assert "Behind the log" in page([one])
    assert "Behind the log" not in page([one.model_copy(update={"servers": without})])
    silent = page([one.model_copy(update={"servers": [*one.servers[:-1], without[-1]]})])
    lag = re.search(r'data-plot="([^"]*not stored yet[^"]*)"', silent)
    assert lag is not None
    ((_, points),) = json.loads(unescape(lag[1]))["series"]
    assert {behind for _, behind in points} == {3}, "a persister that does not answer has not caught up"


def test_a_replay_is_in_the_groups_of_its_logs() -> None:
    one = result()
    replay = one.scenario.model_copy(update={"replay": Replay(folder=Path("logs"))})
    assert "in groups of 30" in page([one])
    assert "groups of 30" not in page([one.model_copy(update={"scenario": replay})])


def test_two_runs_stand_side_by_side_with_the_change_between_them() -> None:
    text = page([result(latency_ms=10, name="before"), result(latency_ms=20, name="after")])
    assert "A · before" in text
    assert "B · after" in text
    assert re.search(r"send → receive, p50<td>10\.\d ms<td>20\.\d ms<td>\+\d+ %", text)
    assert "the generator's own lateness, worst<td>0.0 ms<td>0.0 ms" in text
    latency_axes = re.findall(r'aria-label="[AB] · Send → receive.*?</svg>', text, re.DOTALL)
    ticks = [re.findall(r'class="y"[^>]*>([^<]*)<', axis) for axis in latency_axes]
    assert len(ticks) == 2
    assert ticks[0] == ticks[1]


def test_a_run_that_ended_before_the_other_did_not_settle_until_then() -> None:
    short = result()
    late = [one.model_copy(update={"at": one.at + 88}) for one in short.moments]
    longer = short.model_copy(update={"moments": [*short.moments, *late]})
    assert ">settle<" not in page([short])
    assert page([short, longer]).count(">settle<") == page([longer]).count(">settle<") > 0


measured = st.one_of(st.just(0.0), st.floats(0.001, 1e9))


@given(st.lists(measured, min_size=1), st.booleans())
def test_every_value_has_its_place_on_the_axis_and_a_higher_one_is_higher(
    values: list[float], logarithmic: bool
) -> None:
    axis = axis_for([Series("a", [(0, value) for value in values])], "ms", logarithmic=logarithmic)
    shares = [axis.share(value) for value in sorted(values)]
    assert all(-1e-9 <= share <= 1 + 1e-9 for share in shares)
    assert shares == sorted(shares)
    assert 2 <= len(axis.ticks()) <= 25


def test_no_two_lines_of_a_plot_look_alike_and_what_is_no_server_has_a_style_of_its_own() -> None:
    one = result()
    edges = {f"edge-{number}": one.servers[0].servers["edge-1"] for number in range(20)}
    looks = [look.model_copy(update={"servers": {**edges, **look.servers}}) for look in one.servers]
    cpu = re.search(
        r'aria-label="CPU".*?</svg>', page([one.model_copy(update={"servers": looks})]), re.DOTALL
    )
    assert cpu is not None
    styles = re.findall(r'<polyline [^>]*style="([^"]*)"', cpu[0])
    assert len(set(styles)) == len(styles) == 20 + len({"kafka", "store", "generator", "whole machine"})
    assert all("var(--ink)" in style for style in styles[-2:])


def test_a_server_that_was_started_anew_has_no_cpu_in_the_plot_where_the_table_has_none() -> None:
    one = result()
    servers = [
        ServersSample(at=at, servers={"edge-1": ServerMoment(cpu_s=cpu_s)})
        for at, cpu_s in ((0, 10), (2, 12), (4, 1), (6, 3))
    ]
    cpu = re.search(r'data-plot="([^"]*cores[^"]*)"', page([one.model_copy(update={"servers": servers})]))
    assert cpu is not None
    (name, points), *_ = json.loads(unescape(cpu[1]))["series"]
    assert (name, points) == ("edge-1", [[2, 1], [6, 1]])


def test_a_plot_of_nothing_is_a_plot() -> None:
    assert "</figure>" in plot("Nothing", [Series("a", [])], Axis("ms", 0, 1), 0)
