"""The commands do what their arguments say, and what cannot be carried through is said before the run."""

import signal
from pathlib import Path
from typing import Any

import pytest

from loadtest import run_command
from loadtest.__main__ import main
from loadtest.probe import Probe
from loadtest.run_command import show_and_keep
from loadtest.scenario import MAX_NAME, Scenario
from tests.unit.loadtest.results import result

REPLAY = """
name = "logs"
about = "a test's"
[[phases]]
name = "come online"
seconds = 1
[replay]
folder = "logs"
seconds = 300
"""


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Scenario]:
    """The scenarios that were begun; nothing is run."""
    begun: list[Scenario] = []

    async def run_scenario(scenario: Scenario, *_: Any, **__: Any) -> None:
        begun.append(scenario)
        raise OSError("this is a test")

    monkeypatch.setenv("TOKEN_SECRET", "a secret of a test, longer than 32 bytes")
    monkeypatch.setattr(run_command, "run_scenario", run_scenario)
    return begun


def test_a_folder_that_cannot_be_had_is_said_before_the_run(ran: list[Scenario], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert main(["run", "smoke", "--gateway", "http://x", "--out", str(tmp_path / "taken")]) == 2
    assert ran == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no folder that takes no file")
def test_a_folder_that_takes_no_file_is_said_before_the_run(
    ran: list[Scenario], capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["run", "smoke"], ["fitness"]):
        assert main([*command, "--gateway", "http://x", "--out", "/proc"]) == 2
        assert "kept in /proc" in capsys.readouterr().err
    assert ran == []


def test_other_logs_and_another_length_keep_the_rest_of_a_replay(ran: list[Scenario], tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(REPLAY)
    options = ["--gateway", "http://x", "--out", str(tmp_path), "--replay", "others", "--stretch", "2"]
    main(["run", str(tmp_path / "x.toml"), *options])
    (scenario,) = ran
    assert scenario.replay is not None
    assert (scenario.replay.folder, scenario.replay.seconds) == (Path("others"), 600)


def test_a_probe_takes_no_argument_that_it_would_ignore(capsys: pytest.CaptureFixture[str]) -> None:
    for ignored in ("--ops", "--pid"):
        with pytest.raises(SystemExit):
            main(["probe", "--gateway", "http://x", ignored, "edge-1=1"])
        assert f"unrecognized arguments: {ignored}" in capsys.readouterr().err


def test_a_report_of_two_results_leaves_each_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    for path in (before, after):
        path.write_text(result(name=path.stem).model_dump_json())
        assert main(["report", str(path)]) == 0
    own = before.with_suffix(".html").read_text()
    assert main(["report", str(before), str(after)]) == 0
    assert capsys.readouterr().out.split()[-1] == str(tmp_path / "before-against-after.html")
    assert before.with_suffix(".html").read_text() == own


@pytest.mark.parametrize("content", [b"name", b"\xff", b"name = 'no phases'", None])
def test_what_is_wrong_with_a_file_is_said_with_its_name(
    content: bytes | None, ran: list[Scenario], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "given"
    if content is not None:
        file.write_bytes(content)
    for command in (
        ["run", str(file), "--gateway", "http://x", "--out", str(tmp_path)],
        ["run", "smoke", "--gateway", "http://x", "--out", str(tmp_path), "--tokens", str(file)],
        ["report", str(file)],
    ):
        assert main(command) == 2
        assert str(file) in capsys.readouterr().err
    assert ran == []


@pytest.mark.parametrize(
    ("scenario", "options", "says"),
    [
        *(("smoke", ["--pid", f"kafka={pid}"], f"kafka={pid}") for pid in ("abc", "0", "9" * 20)),
        *(
            ("smoke", ["--ops", given], f"{given}: this is given as name=value")
            for given in ("edge", "=http://x", "edge=")
        ),
        *(("smoke", ["--stretch", stretch], "seconds") for stretch in ("0", "-1", "nan", "inf")),
        *(("irc", ["--replay", ".", option, "2"], "a replay") for option in ("--students", "--group-size")),
    ],
)
def test_a_run_that_makes_no_sense_is_refused_with_the_reason(
    scenario: str,
    options: list[str],
    says: str,
    ran: list[Scenario],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", scenario, "--gateway", "http://x", "--out", str(tmp_path), *options]) == 2
    assert says in capsys.readouterr().err
    assert ran == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["smoke", "--processes", "-1"], "processes"),
        (["irc", "--replay", ".", "--processes", "2"], "a replay"),
        (["smoke", "--group-size", "20", "--processes", "3"], "as many groups"),
    ],
)
def test_processes_by_which_nothing_can_be_run_are_refused_before_anybody_comes(
    options: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TOKEN_SECRET", "a secret of a test, longer than 32 bytes")
    assert main(["run", *options, "--gateway", "http://127.0.0.1:1", "--out", str(tmp_path)]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("--for", value) for value in ("0", "-1", "nan")],
        *[("--every", value) for value in ("0", "-1", "nan", "inf")],
        *[("--port", value) for value in ("-1", "99999")],
    ],
)
def test_a_probe_that_could_not_look_or_be_looked_at_is_refused_in_a_line(
    option: str, value: str, ran: list[Scenario], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", "--gateway", "http://127.0.0.1:1", option, value]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"FAILED: {option} {value}")
    assert (said.err.count("\n"), said.out) == (1, "")


@pytest.mark.parametrize("name", ["x" * 260, "x\0", "x\n", "../x", ""])
def test_a_scenario_whose_result_could_not_be_kept_under_its_name_is_refused(name: str) -> None:
    given = result().scenario.model_dump()
    with pytest.raises(ValueError, match="name"):
        Scenario.model_validate(given | {"name": name})


def test_the_longest_name_of_a_scenario_is_that_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longest = result(name="😀" * MAX_NAME)
    Scenario.model_validate(longest.scenario.model_dump())
    show_and_keep(longest, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_ctrl_c_ends_a_probe_with_what_it_has_seen(
    ran: list[Scenario], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check = Probe.check

    async def interrupted_check(probe: Probe) -> bool:
        if probe.availability.checks == 1:
            signal.raise_signal(signal.SIGINT)
        return await check(probe)

    monkeypatch.setattr(Probe, "check", interrupted_check)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = main(["probe", "--gateway", "http://127.0.0.1:1", "--every", "0.05"])
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr()
    assert "0 of 1 checks good" in said.out
    assert "interrupted" not in said.err
    assert status == 1, "a check has failed"


def test_a_probe_as_a_student_without_a_token_is_refused_before_it_looks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("up201906045 a-token\n")
    options = ["--gateway", "http://127.0.0.1:1", "--tokens", str(tokens), "--up", "up201906046"]
    assert main(["probe", *options]) == 2
    assert "up201906046" in capsys.readouterr().err


def test_a_run_without_any_tokens_says_what_it_needs(
    ran: list[Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TOKEN_SECRET")
    assert main(["run", "smoke", "--gateway", "http://x", "--out", str(tmp_path)]) == 2
    assert "TOKEN_SECRET" in capsys.readouterr().err


def test_a_scenario_is_read_as_windows_saves_it(ran: list[Scenario], tmp_path: Path) -> None:
    file = tmp_path / "evening.toml"
    file.write_text(REPLAY, encoding="utf-8-sig")
    main(["run", str(file), "--gateway", "http://x", "--out", str(tmp_path)])
    assert len(ran) == 1
