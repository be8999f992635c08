"""Child processes: started again and again, ended in every way, and never left behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.processes import ManagedProcess, wait_until
from deploy.repository import REPOSITORY
from tests.unit.clock import Clock
from tests.unit.deploy.process_states import DEADLINE_S, DEAF, SLEEPER, has_said, is_gone, state_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[ManagedProcess]:
    process = ManagedProcess("sleeper", SLEEPER, log_file=tmp_path / "logs" / "sleeper.log")
    yield process
    process.kill()


def start_and_hear(process: ManagedProcess) -> None:
    process.launch()
    wait_until(lambda: has_said(process.log_file, "up"), DEADLINE_S, "the child is up")


def run_to_its_end(process: ManagedProcess) -> None:
    process.launch()
    wait_until(lambda: not process.alive, DEADLINE_S, "the child ended")


def test_a_stopped_process_can_be_started_again(sleeper: ManagedProcess) -> None:
    start_and_hear(sleeper)
    first = sleeper.pid
    sleeper.stop()
    assert sleeper.returncode == -signal.SIGTERM
    sleeper.launch()
    assert sleeper.alive
    assert sleeper.pid != first


def test_starting_twice_is_an_error(sleeper: ManagedProcess) -> None:
    sleeper.launch()
    with pytest.raises(RuntimeError, match="sleeper runs already"):
        sleeper.launch()


def test_ending_what_has_ended_or_never_ran_does_nothing(sleeper: ManagedProcess) -> None:
    sleeper.stop()
    sleeper.kill()
    sleeper.freeze()
    sleeper.launch()
    sleeper.kill()
    sleeper.stop()
    assert sleeper.returncode == -signal.SIGKILL


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    deaf = ManagedProcess("deaf", DEAF, log_file=tmp_path / "deaf.log")
    start_and_hear(deaf)
    deaf.stop(deadline_s=0.1)
    assert deaf.returncode == -signal.SIGKILL


def test_a_frozen_process_stands_still_until_thawed_and_can_be_stopped(sleeper: ManagedProcess) -> None:
    start_and_hear(sleeper)
    sleeper.freeze()
    assert state_of(sleeper.pid) == "T"
    assert sleeper.alive
    sleeper.thaw()
    wait_until(lambda: state_of(sleeper.pid) != "T", DEADLINE_S, "thawed")
    sleeper.freeze()
    sleeper.stop()
    assert sleeper.returncode == -signal.SIGTERM


def test_the_child_has_its_environment_folder_and_log(tmp_path: Path) -> None:
    program = "import os; print(os.environ['WORD'], os.getcwd(), 'HOME' in os.environ)"
    log_file = tmp_path / "child.log"
    argv = [sys.executable, "-c", program]
    child = ManagedProcess("child", argv, log_file=log_file, env={"WORD": "hello"}, cwd=tmp_path)
    run_to_its_end(child)
    assert child.last_log_lines() == [f"hello {tmp_path} {'HOME' in os.environ}"]


def test_an_early_end_is_reported_with_the_end_of_the_log(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('no such broker')"]
    child = ManagedProcess("child", failing, log_file=tmp_path / "child.log")
    run_to_its_end(child)
    with pytest.raises(RuntimeError, match="child ended with status 1\nno such broker"):
        child.require_alive()


def test_an_early_end_is_not_reported_with_what_earlier_starts_logged(tmp_path: Path) -> None:
    log_file = tmp_path / "child.log"
    log_file.write_text("no such broker\n")
    child = ManagedProcess("child", [sys.executable, "-c", "print('no such store')"], log_file=log_file)
    run_to_its_end(child)
    assert child.last_log_lines() == ["no such store"]
    assert log_file.read_text() == "no such broker\nno such store\n"


def test_a_program_that_does_not_exist_is_an_early_end(tmp_path: Path) -> None:
    child = ManagedProcess("child", ["no-such-program"], log_file=tmp_path / "child.log")
    run_to_its_end(child)
    with pytest.raises(RuntimeError, match="FileNotFoundError"):
        child.require_alive()


def test_a_signal_from_the_terminal_does_not_reach_the_child(sleeper: ManagedProcess) -> None:
    sleeper.launch()
    assert os.getpgid(sleeper.pid) == sleeper.pid != os.getpgid(0)


def test_a_child_outlives_the_thread_that_started_it(sleeper: ManagedProcess) -> None:
    starter = threading.Thread(target=start_and_hear, args=(sleeper,))
    starter.start()
    task = Path(f"/proc/self/task/{starter.native_id}")
    starter.join()
    wait_until(lambda: not task.exists(), DEADLINE_S, "the kernel has ended the thread")
    assert sleeper.alive


def test_no_child_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from deploy.local.processes import ManagedProcess
children = [ManagedProcess(str(n), {SLEEPER!r}, log_file=Path({str(tmp_path)!r}) / str(n)) for n in (1, 2)]
for child in children:
    child.launch()
while not children[1].last_log_lines():  # frozen any earlier it may not have asked to die with us yet
    time.sleep(0.05)
children[1].freeze()
print(*(child.pid for child in children), flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(is_gone(pid) for pid in pids)
        parent.kill()
    for pid in pids:
        wait_until(lambda pid=pid: is_gone(pid), DEADLINE_S, f"child {pid} is gone")  # type: ignore[misc]


def test_whoever_is_interrupted_while_a_child_starts_can_end_it() -> None:
    program = f"""
import os, signal
from pathlib import Path
from deploy.local.processes import ManagedProcess
from deploy.local.signals import interrupt_on_signals

class Child(ManagedProcess):
    def _spawn(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return super()._spawn()

interrupt_on_signals()
child = Child("child", {SLEEPER!r}, log_file=Path(os.devnull))
try:
    child.launch()
except KeyboardInterrupt:
    child.stop()
    print(child.returncode)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE_S,
    )
    assert done.stdout == f"{-signal.SIGTERM}\n"


def test_waiting_ends_as_soon_as_it_holds() -> None:
    clock = Clock()
    wait_until(lambda: clock.now > 3, 10, "three seconds", clock=clock, sleep=clock.sleep)
    assert clock.now < 4


def test_waiting_ends_at_the_deadline_with_what_was_awaited() -> None:
    clock = Clock()
    with pytest.raises(TimeoutError, match="a miracle: not within 10 s"):
        wait_until(lambda: False, 10, "a miracle", clock=clock, sleep=clock.sleep)
    assert clock.now < 11
