"""The report of a run, or of two side by side, as one HTML page that needs nothing else."""

from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Final

from loadtest.plots import Axis, Band, Series, axis_for, plot
from loadtest.results import Result, cores_between, formatted
from loadtest.schedule import stretches
from loadtest.server_side import MACHINE

PAGE: Final = Path(__file__).with_name("report.html")
MEGABYTE: Final = 1_000_000

SeriesOf = Callable[[Result], list[Series]]


def page(results: Sequence[Result]) -> str:
    """Return the page for one result or two."""
    title = " against ".join(f"{result.scenario.name} {result.run}" for result in results)
    body = _head(results) + _figures(results) + _plots(results)
    return PAGE.read_text().replace("{{title}}", escape(title)).replace("{{body}}", body)


def _head(results: Sequence[Result]) -> str:
    """Return a card per result: what was run, and its objectives."""
    cards = []
    for letter, result in zip("AB", results, strict=False):
        rows = "".join(
            f'<tr class="{"held" if judged.held else "broken"}"><td>{"✓" if judged.held else "✗"}'
            f"<td>{escape(judged.what)}<td>{escape(judged.got)}<td>{escape(judged.wanted)}</tr>"
            for judged in result.judged
        )
        name = f"{letter} · {result.scenario.name}" if len(results) > 1 else result.scenario.name
        badge = (
            '<b class="held">objectives held</b>' if result.ok else '<b class="broken">objectives missed</b>'
        )
        cards.append(
            f"<section><h2>{escape(name)} {badge}</h2><p>{escape(result.scenario.about)}</p>"
            f"<p><small>run {escape(result.run)}, {escape(result.started)}, {escape(result.gateway)}; "
            f"{result.verdict.students:,} students in {_groups(result)}; "
            f"processes of the generator: {result.processes}, on {escape(result.machine)}</small></p>"
            f"<table><tr><th>held<th>objective<th>got<th>wanted</tr>{rows}</table></section>"
        )
    return f'<div class="side">{"".join(cards)}</div>'


def _groups(result: Result) -> str:
    return (
        f"groups of {result.scenario.group_size:,}" if result.scenario.replay is None else "the logs' groups"
    )


def _figures(results: Sequence[Result]) -> str:
    """Return the figures, with the change from the first run to the second."""
    rows = []
    for what, of, unit in _ROWS:
        values = [of(result) for result in results]
        cells = "".join(f"<td>{formatted(value, unit)}" for value in values)
        rows.append(f"<tr><td>{what}{cells}{_change(values) if len(values) > 1 else ''}</tr>")
    names = "".join(f"<th>{letter}" for letter in "AB"[: len(results)]) if len(results) > 1 else "<th>value"
    change = "<th>A to B" if len(results) > 1 else ""
    table = f"<table><tr><th>figure{names}{change}</tr>{''.join(rows)}</table>"
    return f"<section><h2>While measured</h2>{table}</section>"


def _plots(results: Sequence[Result]) -> str:
    """Return all plots. Two results share axes, to be comparable."""
    sections = []
    letters = ("A · ", "B · ") if len(results) > 1 else ("",)
    for title, unit, series_of, logarithmic in _PLOTS:
        drawn = [series_of(result) for result in results]
        if not any(drawn):
            continue
        axis = axis_for([line for lines in drawn for line in lines], unit, logarithmic=logarithmic)
        seconds = max(_seconds(result) for result in results)
        sections += [
            _plot_section(f"{letter}{title}", lines, axis, seconds, result)
            for letter, lines, result in zip(letters, drawn, results, strict=True)
        ]
    return f'<div class="side">{"".join(sections)}</div>'


def _plot_section(title: str, lines: list[Series], axis: Axis, seconds: float, result: Result) -> str:
    bands = [
        Band(stretch.phase.name, stretch.starts_s, stretch.ends_s, not stretch.phase.measured)
        for stretch in stretches(result.scenario)
    ]
    if bands and bands[-1].ends < _seconds(result) and result.scenario.replay is None:
        bands.append(Band("settle", bands[-1].ends, _seconds(result), shaded=True))
    return f"<section>{plot(title, lines, axis, seconds, bands)}</section>"


def _seconds(result: Result) -> float:
    """Return how long the run lasted, settling included."""
    return max((moment.at for moment in result.moments), default=0) + 1


def _latency(result: Result) -> list[Series]:
    heard = [moment for moment in result.moments if moment.received]
    return [
        Series("p50", [(moment.at, moment.p50) for moment in heard]),
        Series("p90", [(moment.at, moment.p90) for moment in heard]),
        Series("p99", [(moment.at, moment.p99) for moment in heard]),
        Series("worst", [(moment.at, moment.most) for moment in heard]),
    ]


def _acks(result: Result) -> list[Series]:
    acked = [moment for moment in result.moments if moment.acked]
    return [
        Series("p50", [(moment.at, moment.ack_p50) for moment in acked]),
        Series("p99", [(moment.at, moment.ack_p99) for moment in acked]),
    ]


def _received(result: Result) -> list[Series]:
    return [Series("received", [(moment.at, moment.received) for moment in result.moments])]


def _sent(result: Result) -> list[Series]:
    return [
        Series("planned", [(moment.at, moment.planned) for moment in result.moments]),
        Series("acked", [(moment.at, moment.acked) for moment in result.moments]),
        Series(
            "refused or sent again",
            [(moment.at, moment.refused + moment.repeated) for moment in result.moments],
        ),
    ]


def _online(result: Result) -> list[Series]:
    return [Series("online", [(moment.at, moment.online) for moment in result.moments])]


def _cpu(result: Result) -> list[Series]:
    """Return cores used between two samples, by server, and by the generator."""
    if not result.servers:
        return []
    generator = Series(
        "generator", [(moment.at, moment.generator_cpu) for moment in result.moments], "dashed"
    )
    machine = [Series("whole machine", points, "dotted")] if (points := _cores(result, MACHINE)) else []
    return [*(Series(name, _cores(result, name)) for name in _names(result)), generator, *machine]


def _cores(result: Result, name: str) -> list[tuple[float, float]]:
    between = [(after.at, cores_between(before, after)) for before, after in pairwise(result.servers)]
    return [(at, cores[name]) for at, cores in between if name in cores]


def _memory(result: Result) -> list[Series]:
    samples = [(sample.at, sample.servers) for sample in result.servers]
    return [
        Series(name, [(at, of[name].memory_bytes / MEGABYTE) for at, of in samples if name in of])
        for name in _names(result)
    ]


def _lag(result: Result) -> list[Series]:
    lags = [
        (sample.at, [of.lag for of in sample.servers.values() if of.lag is not None])
        for sample in result.servers
    ]
    points = [(at, sum(known)) for at, known in lags if known]
    return [Series("not stored yet", points)] if points else []


def _names(result: Result) -> list[str]:
    return list(
        dict.fromkeys(name for sample in result.servers for name in sample.servers if name != MACHINE)
    )


def _change(values: Sequence[float | None]) -> str:
    before, after = values
    if not before or after is None:
        return "<td>"
    return f"<td>{100 * (after / before - 1):+,.0f} %"


_ROWS: Final[tuple[tuple[str, Callable[[Result], float | None], str], ...]] = (
    ("send → receive, p50", lambda one: one.deliver.known("p50"), "ms"),
    ("send → receive, p90", lambda one: one.deliver.known("p90"), "ms"),
    ("send → receive, p99", lambda one: one.deliver.known("p99"), "ms"),
    ("send → receive, p99.9", lambda one: one.deliver.known("p999"), "ms"),
    ("send → receive, worst", lambda one: one.deliver.known("most"), "ms"),
    ("send → ack, p50", lambda one: one.ack.known("p50"), "ms"),
    ("send → ack, p99", lambda one: one.ack.known("p99"), "ms"),
    ("deliveries", lambda one: one.deliveries_per_s, "/s"),
    ("messages", lambda one: one.messages_per_s, "/s"),
    ("students online", lambda one: one.online_most, ""),
    ("CPU of edges and broker a delivery", lambda one: one.server_us_per_delivery, "µs"),
    ("CPU of all servers", lambda one: sum(one.server_cpu.values()) or None, "cores"),
    ("CPU of everything else on that machine", lambda one: one.others_cpu, "cores"),
    ("CPU of the generator a delivery", lambda one: one.generator_us_per_delivery, "µs"),
    ("the generator's own lateness, p99", lambda one: one.late.known("p99"), "ms"),
    ("the generator's own lateness, worst", lambda one: one.late.known("most"), "ms"),
    ("messages in all", lambda one: one.verdict.said, ""),
    ("deliveries in all", lambda one: one.verdict.received, ""),
)

_PLOTS: Final[tuple[tuple[str, str, SeriesOf, bool], ...]] = (
    ("Send → receive, from the planned moment", "ms", _latency, True),
    ("Send → ack", "ms", _acks, True),
    ("Received", "deliveries/s", _received, False),
    ("Sent", "messages/s", _sent, False),
    ("Online", "students", _online, False),
    ("CPU", "cores", _cpu, False),
    ("Memory", "MB", _memory, False),
    ("Behind the log", "messages", _lag, False),
)
