"""What a test or the demo may do to a backing service, and the kind that is a process of ours."""

from abc import abstractmethod
from typing import Protocol

from deploy.local.processes import ManagedProcess
from deploy.local.restartable import RestartableProcess


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


class BackingProcess(RestartableProcess):
    """A backing service that is one process of this machine."""

    def __init__(self, process: ManagedProcess, address: str, start_deadline_s: float) -> None:
        super().__init__(process, where=address, start_deadline_s=start_deadline_s)
        self.address = address
        """Host and port that clients connect to."""

    @abstractmethod
    def prepare(self) -> None:
        """Write what the process needs to find before it starts."""

    def launch(self) -> None:
        """Start the process without waiting for it."""
        self.prepare()
        super().launch()

    def close(self) -> None:
        """End it for good."""
        self.stop()
