"""What a test or the demo may do to a backing service, and the kind that is a process of ours."""

from typing import Protocol

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

    @property
    def address(self) -> str:
        """Host and port that clients connect to."""
        return self.where

    def close(self) -> None:
        """End it for good."""
        self.stop()
