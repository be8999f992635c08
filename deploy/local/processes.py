"""Child processes that can be stopped, killed, frozen and started again, and never outlive us.

It knows nothing of what it runs. Nothing is started at import.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from deploy.local.signals import signals_wait

STOP_DEADLINE_S = 20.0
POLL_S = 0.05
CHECK_EVERY_S = 1.0
_EXEC_WRAPPER = Path(__file__).with_name("die_with_parent.py")

# The kernel's "die with your parent" means the parent *thread*. A child forked by a worker thread
# (asyncio.to_thread) would be killed when that worker ends, so one thread that lives as long as
# this interpreter forks them all. It begins while signals wait, and so never takes one. If it did, Python
# would interrupt the main thread, even while that lets signals wait.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawn")


class ManagedProcess:
    """One child process with its log file; `launch` and the ends may be called again and again.

    `env` is laid over this process's own environment. Every signal goes to the child's whole
    process group, which is its own: a Ctrl-C in the terminal reaches only us.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log_file: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.env = dict(env or {})
        self.log_file = log_file
        self.cwd = cwd
        self._child: subprocess.Popen[bytes] | None = None
        self._log_begins = 0

    def launch(self) -> None:
        """Start the child and return at once. Raises RuntimeError when it runs already."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs already, as process {self.pid}")
        # Interrupted between its start and here, nobody could end the child: they would not know it.
        with signals_wait():
            self._child = _spawner.submit(self._spawn).result()

    def stop(self, deadline_s: float = STOP_DEADLINE_S) -> None:
        """Ask the child to end (SIGTERM); kill it when it has not ended within `deadline_s`."""
        if self._child is None:
            return
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a frozen child would not see the request
        try:
            self._child.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the child at once (SIGKILL), as a crash would, and wait until it is gone."""
        if self._child is None:
            return
        self._signal(signal.SIGKILL)
        self._child.wait()

    def freeze(self) -> None:
        """Suspend the child (SIGSTOP): its sockets stay open and silent.

        Returns when all its threads stand still: on a busy machine they go on for a moment.
        """
        if self.alive:
            self._signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let a frozen child go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    @property
    def alive(self) -> bool:
        """Whether the child runs (a frozen one does)."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """The child's process id. Raises RuntimeError before the first start."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs or before the first start."""
        return None if self._child is None else self._child.poll()

    def require_alive(self) -> None:
        """Raise RuntimeError with the end of the log when the child has ended."""
        if not self.alive:
            tail = "\n".join(self.last_log_lines())
            raise RuntimeError(f"{self.name} ended with status {self.returncode}\n{tail}")

    def last_log_lines(self, count: int = 20) -> list[str]:
        """The last lines that this start has written to the log file, for an error's text."""
        if not self.log_file.exists():
            return []
        with self.log_file.open(errors="replace") as log:
            log.seek(self._log_begins)
            return log.read().splitlines()[-count:]

    def _spawn(self) -> subprocess.Popen[bytes]:
        wrapped = [sys.executable, "-I", "-S", str(_EXEC_WRAPPER), str(os.getpid()), *self.argv]
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._log_begins = os.fstat(log).st_size
        try:
            return subprocess.Popen(
                wrapped,
                env={**os.environ, **self.env},
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        finally:
            os.close(log)

    def _signal(self, number: signal.Signals) -> None:
        # poll() first: once the child is reaped its number may belong to somebody else.
        if self._child is not None and self._child.poll() is None:
            os.killpg(self._child.pid, number)


def watch(processes: Sequence[ManagedProcess]) -> NoReturn:
    """Check processes until one of them has ended; then raise RuntimeError with the end of its log."""
    while True:
        for process in processes:
            process.require_alive()
        # signal.pause() would sleep on after a signal that comes just before it.
        time.sleep(CHECK_EVERY_S)


def wait_until(
    predicate: Callable[[], bool],
    deadline_s: float,
    what: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return as soon as `predicate` holds; raise TimeoutError naming `what` after `deadline_s`."""
    end = clock() + deadline_s
    while not predicate():
        if clock() >= end:
            raise TimeoutError(f"{what}: not within {deadline_s:g} s")
        sleep(POLL_S)
