"""The routes of the ops port: ``/healthz`` (liveness), ``/readyz`` (readiness), ``/metrics``.

They answer by the checks of the service's parts, and ask no other system.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from runtime import metrics

Check = Callable[[], str | None]
"""Returns None when all is well, otherwise what is wrong, in a few words without secrets."""

_waits: Final[dict[str, str]] = {}


@contextmanager
def waiting_for(what: str) -> Iterator[Callable[[str], None]]:
    """List ``what`` in `waits` during the block, with the last reason given to the yielded function."""

    def set_reason(fault: str) -> None:
        _waits[what] = f"{what}: {fault}"

    set_reason("not there yet")
    try:
        yield set_reason
    finally:
        _waits.pop(what, None)


def waits() -> str | None:
    """Return what this process waits for, for a readiness check."""
    return "; ".join(_waits.values()) or None


class Health:
    """The health checks of a service's parts."""

    def __init__(self, service: str, died: Check, mended: Check) -> None:
        """While ``died`` finds a fault, /healthz and /readyz fail. They only show what ``mended`` finds."""
        self._service = service
        self._died = {"tasks": died}
        self._mended = {"tasks": mended}
        self._ready: dict[str, Check] = {}

    def ready(self, name: str, check: Check) -> None:
        """Add a readiness check: while it fails, no work must be sent here."""
        self._ready[name] = check

    def faults(self, *, readiness: bool = False) -> dict[str, str]:
        """Return what is wrong, by part. Readiness includes liveness."""
        return _found({**self._died, **self._ready} if readiness else self._died)

    def mended(self) -> dict[str, str]:
        """Return recent faults that are over, by part."""
        return _found(self._mended)

    def add_routes(self, app: web.Application) -> None:
        """Serve the three ops routes from ``app``."""
        metrics.READY.set_function(lambda: not self.faults(readiness=True))

        async def healthz(_: web.Request) -> web.Response:
            return _answer(self.faults(), self.mended())

        async def readyz(_: web.Request) -> web.Response:
            return _answer(self.faults(readiness=True), self.mended())

        async def exposition(_: web.Request) -> web.Response:
            page = metrics.exposition(self._service)
            return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})

        app.router.add_get("/healthz", healthz)
        app.router.add_get("/readyz", readyz)
        app.router.add_get("/metrics", exposition)


def _found(checks: dict[str, Check]) -> dict[str, str]:
    found = {name: check() for name, check in checks.items()}
    return {name: fault for name, fault in found.items() if fault is not None}


def _answer(faults: dict[str, str], mended: dict[str, str]) -> web.Response:
    status = 503 if faults else 200
    body = {
        "status": "failing" if faults else "ok",
        "faults": faults,
        "mended": mended,
        "pid": os.getpid(),
    }
    return web.json_response(body, status=status)
