"""A process of this machine as a part of the system: it is given work once it is ready. Blocking."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.processes import ManagedProcess, wait_until


class RestartableProcess(ManagedProcess, ABC):
    """It keeps its name and its place, ``where``, over stop, kill and start."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        where: str,
        start_deadline_s: float,
        log_file: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        super().__init__(name, argv, log_file=log_file, env=env, cwd=cwd)
        self.where = where
        self._start_deadline_s = start_deadline_s

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it may be given work now."""

    def wait_ready(self) -> None:
        """Wait until it may be given work. Raises with the end of its log where it is not."""

        def ready() -> bool:
            self.require_alive()
            return self.is_ready()

        try:
            wait_until(ready, self._start_deadline_s, f"{self.name} ready at {self.where}")
        except TimeoutError as error:
            # Its log says what it waits for: a broker that is not there, say.
            raise TimeoutError("\n".join((str(error), *self.last_log_lines()))) from error

    def start(self) -> None:
        """Start it and wait until it may be given work."""
        self.launch()
        self.wait_ready()
