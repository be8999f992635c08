"""The line a second of a run says what came in it; the end, which servers could not be read."""

from pathlib import Path

import pytest

from loadtest.latency import Latencies
from loadtest.news import Second
from loadtest.results import Percentiles, ShownSecond
from loadtest.run_command import LiveLine, show_and_keep
from tests.unit.loadtest.results import result

STORE = "the store"


def lines(capsys: pytest.CaptureFixture[str], *seconds: Second) -> list[str]:
    live = LiveLine(60)
    for second in seconds:
        live.show(ShownSecond.of(second))
    return capsys.readouterr().out.splitlines()


def test_a_second_in_which_nothing_came_has_no_latency(capsys: pytest.CaptureFixture[str]) -> None:
    [none, all_came] = lines(
        capsys,
        Second(at=1, planned=3),
        Second(at=2, received=1, deliver=[(100, 1)], acked=1, ack=[(50, 1)]),
    )
    assert "p50      - p99       - ms · ack p99       - ms" in none
    assert "p50    0.1 p99     0.1 ms · ack p99     0.1 ms" in all_came


def test_a_wait_in_which_nothing_comes_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    idle = [Second(at=at, waits_for=STORE) for at in range(63, 99)]
    told = lines(capsys, Second(at=61), Second(at=62), *idle, Second(at=99, received=1), Second(at=100))
    assert [int(line.partition("/")[0]) for line in told] == [61, 62, 63, 99, 100]
    other = lines(capsys, Second(at=1, waits_for="students, acks and deliveries"), *idle)
    assert len(other) == 2


def test_a_terminal_is_drawn_on_every_second(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    drawn = lines(capsys, *(Second(at=at, waits_for=STORE) for at in range(63, 66)))
    assert sum(f"waits for {STORE}" in line for line in drawn) == 3


def test_a_line_on_a_terminal_is_one_row_that_begins_with_what_is_unusual(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    usual = Second(at=1, planned=2000, received=60_000, deliver=[(100, 1)], acked=1, ack=[(50, 1)])
    [_, *drawn] = lines(capsys, usual, Second(at=2, waits_for=STORE, refused=2))
    shown = [line.removeprefix("\x1b[K") for line in drawn]
    assert all(len(line) < 80 for line in shown)
    assert "p99 0.1 ms" in shown[0]
    assert f"waits for {STORE} · refused 2" in shown[1]


def test_where_no_measured_message_came_no_latency_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen = result()
    show_and_keep(seen.model_copy(update={"deliver": Percentiles.of(Latencies())}), tmp_path)
    assert "p50 unknown, p99 unknown" in capsys.readouterr().out


def test_servers_that_could_not_be_read_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    seen = result()
    show_and_keep(seen, tmp_path)
    assert "could not be read" not in capsys.readouterr().out
    show_and_keep(seen.model_copy(update={"watched": [*seen.watched, "edge-2"]}), tmp_path)
    assert "could not be read: edge-2\n" in capsys.readouterr().out
