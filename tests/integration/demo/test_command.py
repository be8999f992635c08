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

from deploy.demo.figures import UNKNOWN
from deploy.local.kafka_in_memory import missing_for_in_memory_kafka
from deploy.local.kafka_native import missing_for_native_kafka
from tests.integration.demo.system import NOT_OURS

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).resolve().parents[3]
MARK = "UNI4ALL_DEMO_TEST"
DEADLINE_S = 120.0
STATUS_LINE = re.compile(r"connected +40 .* stored +[1-9]")


class Demo:
    """A running command, its output so far, and all processes that it has brought up."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark = uuid4().hex
        self.log_dir = folder / "logs"
        self.output = folder / "output.txt"
        environ = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        argv = [sys.executable, "-u", "-m", "deploy.demo", "--log-dir", str(self.log_dir), *arguments]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                argv,
                cwd=REPOSITORY,
                env={**environ, MARK: self.mark, "TMPDIR": str(folder)},
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


def test_students_chat_and_ctrl_c_stops_everything_cleanly(demo: Demo) -> None:
    demo.until_said(STATUS_LINE)
    said = demo.said()
    for told in ("/#token=", "/docs", "/asyncapi", "/table", "/metrics", "Kafka: ", "store: ", "curl -H"):
        assert told in said
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


def test_an_edge_with_room_for_few_gets_company_until_all_who_chat_are_in(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--edges", "1", "--edge-capacity", "30")
    try:
        demo.until_said(STATUS_LINE)
        assert "starting edge-2" in demo.said()
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(DEADLINE_S) == 0
        assert "Traceback" not in demo.said()
        assert demo.processes() == []
    finally:
        demo.end()


def test_killed_outright_it_leaves_no_process_behind_and_its_folder_to_the_next(
    demo: Demo, tmp_path: Path
) -> None:
    demo.until_said("edges are ready")
    assert len(demo.processes()) >= 8, "the demo, five services, a broker and a store"
    demo.process.kill()
    demo.process.wait()
    demo.until("all processes gone", lambda: demo.processes() == [])
    left = set(tmp_path.glob("uni4all-chat-demo-*"))
    assert len(left) == 1
    following = Demo(tmp_path)
    try:
        following.until_said("starting")
        assert not left & set(tmp_path.glob("uni4all-chat-demo-*"))
    finally:
        following.end()


def test_a_store_that_ends_is_said_as_a_service_is(demo: Demo) -> None:
    demo.until_said(STATUS_LINE)
    (store,) = (pid for pid, command in demo.commands().items() if " secantus " in command)
    os.kill(store, signal.SIGKILL)
    demo.until_said("store has ended with status -9")


def test_a_service_that_ends_leaves_its_last_words_and_no_figures(demo: Demo) -> None:
    demo.until_said(STATUS_LINE)
    (persister,) = (pid for pid, command in demo.commands().items() if command.endswith(" -m persister "))
    os.kill(persister, signal.SIGTERM)
    demo.until_said(r"(?s)persister has ended with status 0\n.*info: stopping ")
    demo.until_said(rf"connected +40 .* stored +{UNKNOWN} · lag {UNKNOWN}")


@pytest.mark.parametrize(
    ("moment", "stop"),
    [("starting", signal.SIGTERM), ("store: ", signal.SIGINT), ("edges are ready", signal.SIGHUP)],
)
def test_stopped_while_it_starts_it_leaves_nothing_behind(
    demo: Demo, moment: str, stop: signal.Signals
) -> None:
    demo.until_said(moment)
    demo.process.send_signal(stop)
    assert demo.process.wait(DEADLINE_S) == 0
    assert demo.processes() == []
    assert list(demo.output.parent.glob("uni4all-chat-demo-*")) == []


def test_a_port_that_is_taken_is_replaced(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8000))
            taken.listen()
        except OSError:
            taken.close()  # somebody else has it, which does as well
        demo = Demo(tmp_path)
        try:
            demo.until_said(r"API docs +http://127\.0\.0\.1:\d+/docs")
            assert "127.0.0.1:8000/" not in demo.said()
        finally:
            demo.process.terminate()
            demo.process.wait(DEADLINE_S)
            demo.end()
        assert demo.processes() == []


@pytest.mark.parametrize("way", ["native", "pip"])
def test_a_replay_from_the_command_ends_with_its_verdict(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = missing_for_native_kafka() if way == "native" else missing_for_in_memory_kafka()
    if missing is not None:
        pytest.skip(missing)
    monkeypatch.setenv("BACKING", way)
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
