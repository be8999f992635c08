"""An application as services serve theirs: on their runner, within their bounds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from runtime.service import Service, running
from runtime.settings import ServiceSettings
from tests.waiting import eventually


@asynccontextmanager
async def served(app: web.Application, **settings: Any) -> AsyncIterator[int]:
    """Serve an application for the length of the block. Yields its port."""
    ports: list[int] = []

    async def start(service: Service) -> None:
        ports.append(await service.serve(app, "127.0.0.1", 0))

    service = Service("test", ServiceSettings(ops_port=0, log_dir="", **settings))
    async with running(service, start):
        await eventually("it has started", lambda: service.started or service.failure is not None)
        assert service.failure is None
        yield ports[0]
