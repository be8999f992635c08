"""What a test or the demo may do to a backing service, and the kind that is a process of ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from deploy.local.processes import ManagedProcess, wait_until


class BackingService(Protocol):
    """A broker or a store. It keeps its address over stop, kill and start."""

    @property
    def address(self) -> str:
        """Host and port that clients connect to."""
        ...

    def start(self) -> None:
        """Start it and wait until it serves clients. Raises when it does not."""
        ...

    def stop(self) -> None:
        """Stop it in order."""
        ...

    def kill(self) -> None:
        """End it as a crash would."""
        ...

    def freeze(self) -> None:
        """Stop it where it stands: its connections stay open and say nothing."""
        ...

    def thaw(self) -> None:
        """Let a frozen one go on."""
        ...

    def close(self) -> None:
        """End it for good and give back what it holds."""
        ...


class ServiceProcess(ABC):
    """A backing service that is one process of this machine."""

    def __init__(self, process: ManagedProcess, address: str, start_deadline_s: float) -> None:
        self.process = process
        self._address = address
        self._start_deadline_s = start_deadline_s

    @property
    def address(self) -> str:
        """Host and port that clients connect to."""
        return self._address

    @abstractmethod
    def prepare(self) -> None:
        """Write what the process needs to find before it starts."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves clients now."""

    def launch(self) -> None:
        """Start the process without waiting for it."""
        self.prepare()
        self.process.start()

    def wait_ready(self) -> None:
        """Wait until it serves clients. Raises when it ends instead, or takes too long."""

        def ready() -> bool:
            self.process.require_alive()
            return self.answers()

        wait_until(ready, self._start_deadline_s, f"{self.process.name} at {self.address} ready")

    def start(self) -> None:
        """Start it and wait until it serves clients. Raises when it does not."""
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """Stop it in order."""
        self.process.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()

    def freeze(self) -> None:
        """Stop it where it stands: its connections stay open and say nothing."""
        self.process.freeze()

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self.process.thaw()

    def close(self) -> None:
        """End it for good."""
        self.process.stop()
