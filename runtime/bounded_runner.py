"""A web server that holds only so many connections at once: one more is closed, and nothing read from it."""

import asyncio
from typing import Any, Final, cast

from aiohttp import web

from runtime import metrics

_OPEN: Final = metrics.LIMIT_HITS.labels(limit="open connections")


class BoundedRunner(web.AppRunner):
    """aiohttp's runner, whose sites ask it for what serves each connection."""

    def __init__(self, app: web.Application, *, most: int, **options: Any) -> None:
        super().__init__(app, **options)
        self._most = most

    @property
    def server(self) -> Any:
        """Return what makes a protocol for each connection."""
        return None if self._server is None else self._serve

    def _serve(self) -> asyncio.Protocol:
        server = self._server
        if server is None or len(server.connections) >= self._most:
            _OPEN.inc()
            return _TurnedAway()
        return server()


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()
