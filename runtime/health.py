"""The ops port: ``/healthz`` (is the process well), ``/readyz`` (may it be given work), ``/metrics``.

It answers from what the service's parts say of themselves and asks no other system.
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
    """During the block `waits` names ``what``, with the reason that the yielded function was told last."""

    def tell(fault: str) -> None:
        _waits[what] = f"{what}: {fault}"

    tell("not there yet")
    try:
        yield tell
    finally:
        _waits.pop(what, None)


def waits() -> str | None:
    """Return what this process waits for, for a readiness check."""
    return "; ".join(_waits.values()) or None


class Health:
    """What this service's parts say of themselves."""

    def __init__(self, service: str, died: Check, mended: Check) -> None:
        """What ``died`` says fails /healthz and /readyz; what ``mended`` says is only shown there."""
        self._service = service
        self._died = {"tasks": died}
        self._mended = {"tasks": mended}
        self._ready: dict[str, Check] = {}

    def ready(self, name: str, check: Check) -> None:
        """Add a check whose failure means that no work must be sent here for now."""
        self._ready[name] = check

    def faults(self, *, readiness: bool = False) -> dict[str, str]:
        """Return what is wrong, by part. Readiness includes liveness."""
        return _found({**self._died, **self._ready} if readiness else self._died)

    def mended(self) -> dict[str, str]:
        """Return what was wrong lately, by part."""
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
    said = {
        "status": "failing" if faults else "ok",
        "faults": faults,
        "mended": mended,
        "pid": os.getpid(),
    }
    return web.json_response(said, status=status)
