"""The command starts everything, says where it is, and leaves no process behind, however it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.demo.environment import PUBLIC_PORT
from deploy.demo.figures import UNKNOWN
from deploy.local.backing import without_given
from deploy.local.kafka_in_memory import missing_for_in_memory_kafka
from deploy.repository import REPOSITORY

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(300)]

MARK = "UNI4ALL_DEMO_TEST"
DEADLINE_S = 120.0
STATUS_LINE = re.compile(r"connected +40 .* stored +[1-9]")


class Demo:
    """A running command, its output so far, and all processes that it has brought up."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark = uuid4().hex
        self.log_dir = folder / "logs"
        self.output = folder / "output.txt"
        argv = [sys.executable, "-u", "-m", "deploy.demo", "--log-dir", str(self.log_dir), *arguments]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                argv,
                cwd=REPOSITORY,
                env={**without_given(os.environ), MARK: self.mark, "TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def said(self) -> str:
        return self.output.read_text()

    def until(self, what: str, holds: Callable[[], object]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < end, f"never came true: {what}\n{self.said()}"
            time.sleep(0.05)

    def until_said(self, pattern: "str | re.Pattern[str]") -> None:
        def said() -> object:
            assert self.process.poll() is None, self.said()
            return re.search(pattern, self.said())

        self.until(f"said {pattern}", said)

    def processes(self) -> list[str]:
        """Return what still runs of all that was started, by its command."""
        return [command[:120] for command in self.commands().values()]

    def commands(self) -> dict[int, str]:
        """Return them by their numbers."""
        mark, found = f"{MARK}={self.mark}".encode(), {}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (place / "environ").read_bytes().split(b"\0"):
                    command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(place.name)] = command
            except OSError:
                continue
        return found

    def pid_of(self, part: str) -> int:
        """Return the number of the process whose command has this in it."""
        (pid,) = (pid for pid, command in self.commands().items() if part in command)
        return pid

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


pytest.importorskip("resource", reason="needs a Unix")
if not Path("/proc/self/environ").exists():
    pytest.skip("processes are found by /proc", allow_module_level=True)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    running = Demo(tmp_path)
    yield running
    running.end()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that a demo prefers, and that somebody else has."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", PUBLIC_PORT))
            taken.listen()
        except OSError:
            taken.close()  # somebody else has it, which does as well
        yield PUBLIC_PORT


def test_students_chat_where_ports_are_taken_and_an_edge_is_full_and_ctrl_c_stops_everything_cleanly(
    tmp_path: Path, taken_port: int
) -> None:
    demo = Demo(tmp_path, "--edges", "1", "--edge-capacity", "30")
    try:
        demo.until_said(STATUS_LINE)
        said = demo.said()
        assert "starting edge-2" in said, "more want to chat than one edge has room for"
        for told in ("/#token=", "/docs", "/asyncapi", "/table", "/metrics", "Kafka: ", "store: ", "curl -H"):
            assert told in said
        assert f"127.0.0.1:{taken_port}/" not in said
        to_try = "".join(re.findall(r"^  (?:export|curl) .*\n", said, re.MULTILINE))
        answer = subprocess.run(["sh", "-ec", to_try], capture_output=True, text=True, check=True)
        assert '"edge"' in answer.stdout, to_try
        assert {place.name for place in demo.log_dir.iterdir()} == {
            "api_gateway", "dispatcher", "edge-1", "edge-2", "persister",
        }  # fmt: skip
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(DEADLINE_S) == 0
        assert demo.said().splitlines()[-1] == "stopped"
        assert "Traceback" not in demo.said()
        assert demo.processes() == []
    finally:
        demo.end()


def test_parts_that_end_are_said_and_killed_outright_it_leaves_no_process_and_its_folder_to_the_next(
    demo: Demo, tmp_path: Path
) -> None:
    demo.until_said(STATUS_LINE)
    assert len(demo.processes()) >= 8, "the demo, five services, a broker and a store"
    os.kill(demo.pid_of(" -m persister "), signal.SIGTERM)
    demo.until_said(r"(?s)persister has ended with status 0\n.*info: stopping ")
    demo.until_said(rf"connected +40 .* stored +{UNKNOWN} · lag {UNKNOWN}")
    os.kill(demo.pid_of(" secantus "), signal.SIGKILL)
    demo.until_said("store has ended with status -9")
    demo.process.kill()
    demo.process.wait()
    demo.until("all processes gone", lambda: demo.processes() == [])
    left = set(tmp_path.glob("uni4all-chat-demo-*"))
    assert len(left) == 1
    following = Demo(tmp_path)
    try:
        following.until_said("starting")
        assert not left & set(tmp_path.glob("uni4all-chat-demo-*"))
        stops_and_leaves_nothing(following, signal.SIGTERM)
    finally:
        following.end()


@pytest.mark.parametrize(("moment", "stop"), [("store: ", signal.SIGINT), ("edges are ready", signal.SIGHUP)])
def test_stopped_while_it_starts_it_leaves_nothing_behind(
    demo: Demo, moment: str, stop: signal.Signals
) -> None:
    demo.until_said(moment)
    stops_and_leaves_nothing(demo, stop)


def stops_and_leaves_nothing(demo: Demo, stop: signal.Signals) -> None:
    demo.process.send_signal(stop)
    assert demo.process.wait(DEADLINE_S) == 0, demo.said()
    assert demo.processes() == []
    assert list(demo.output.parent.glob("uni4all-chat-demo-*")) == []


def test_a_replay_from_the_command_ends_with_its_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All else here and in test_replay.py takes the first way that works, which is Apache Kafka mostly.
    if (missing := missing_for_in_memory_kafka()) is not None:
        pytest.skip(missing)
    monkeypatch.setenv("BACKING", "pip")
    lines = [f"[10:{n // 20:02}] <{'ana' if n % 3 else 'rui'}> {n}" for n in range(600)]
    (tmp_path / "a.log").write_text("\n".join(lines))
    # Longer than the services wait between two looks at whether their readers make progress.
    demo = Demo(tmp_path, "--replay", str(tmp_path), "--speed", "120")
    try:
        assert demo.process.wait(DEADLINE_S) == 0, demo.said()
        assert "sent 600 · acked 600 · delivered 1,200 of 1,200 · stored 600" in demo.said()
        assert demo.said().splitlines()[-1].startswith("OK")
        assert demo.processes() == []
    finally:
        demo.end()


@pytest.mark.parametrize("content", [None, b"nothing that anybody said\n"])
def test_a_folder_without_logs_is_said_so_at_once(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.log").write_bytes(content)
    demo = Demo(tmp_path, "--replay", str(tmp_path))
    assert demo.process.wait(DEADLINE_S) == 2
    assert "nothing to replay" in demo.said()
    assert "Traceback" not in demo.said()
