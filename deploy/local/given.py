"""A backing service that somebody else runs, given by its URL. It is used, never stopped or disturbed."""

from typing import NoReturn


class NotOursError(RuntimeError):
    """The service was given by URL: only its owner may stop or freeze it."""


class GivenService:
    """Stands for a service at a given URL. Starting and closing it do nothing."""

    def __init__(self, variable: str, url: str) -> None:
        self._variable = variable
        # What follows the user and password; the URL itself must not be printed.
        self.address = url.rsplit("@", 1)[-1]

    def start(self) -> None:
        """Nothing: it runs already, or its users will say that it doesn't."""

    def close(self) -> None:
        """Nothing: it goes on for its owner."""

    def stop(self) -> None:
        """Refused with NotOursError, as every disturbance is."""
        self._refuse("stop")

    def kill(self) -> None:
        """Refused with NotOursError."""
        self._refuse("kill")

    def freeze(self) -> None:
        """Refused with NotOursError."""
        self._refuse("freeze")

    def thaw(self) -> None:
        """Refused with NotOursError."""
        self._refuse("thaw")

    def _refuse(self, what: str) -> NoReturn:
        raise NotOursError(f"cannot {what} the service that {self._variable} names: it is not ours")
