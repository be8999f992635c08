"""One process of this machine as a part of the system: what a test or the demo may do to it. Blocking."""

from abc import ABC, abstractmethod

from deploy.local.processes import ManagedProcess, wait_until


class RestartableProcess(ABC):
    """It keeps its name and its ports over stop, kill and start."""

    def __init__(self, process: ManagedProcess, *, where: str, start_deadline_s: float) -> None:
        self.process = process
        self._where = where
        self._start_deadline_s = start_deadline_s

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it may be given work now."""

    def launch(self) -> None:
        """Start it without waiting for it."""
        self.process.start()

    def wait_ready(self) -> None:
        """Wait until it may be given work. Raises with the end of its log where it is not."""

        def ready() -> bool:
            self.process.require_alive()
            return self.is_ready()

        try:
            wait_until(ready, self._start_deadline_s, f"{self.process.name} ready at {self._where}")
        except TimeoutError as error:
            # Its log says what it waits for: a broker that is not there, say.
            raise TimeoutError("\n".join((str(error), *self.process.last_log_lines()))) from error

    def start(self) -> None:
        """Start it and wait until it may be given work."""
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """Stop it in order (SIGTERM)."""
        self.process.stop()

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self.process.kill()

    def freeze(self) -> None:
        """Stop it where it stands: its connections stay open and say nothing."""
        self.process.freeze()

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self.process.thaw()
