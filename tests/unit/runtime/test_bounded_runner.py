"""A port holds only so many connections: one more is closed unread, and a free place is given again."""

import asyncio
from contextlib import suppress

import pytest
from aiohttp import web

from runtime import metrics
from runtime.service import Service, running
from runtime.settings import ServiceSettings
from tests.integration.backing import eventually

MOST = 10
ASK = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def test_connections_past_the_bound_are_closed_until_others_have_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOG_DIR", "")
    hits = metrics.LIMIT_HITS.labels(limit="open connections")._value
    before = hits.get()

    async def is_served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        with suppress(ConnectionError):
            writer.write(ASK)
            return bool(await reader.readline())
        return False

    async def start(service: Service) -> None:
        port = await service.serve(web.Application(), "127.0.0.1", 0)
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST)]
        for reader, writer in held:
            assert await is_served(reader, writer)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert not await is_served(reader, writer)
        writer.close()
        assert hits.get() == before + 1
        held[0][1].close()

        async def has_room() -> bool:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            served = await is_served(reader, writer)
            writer.close()
            return served

        served: list[bool] = []
        while not any(served):
            served.append(await has_room())
        for _, writer in held:
            writer.close()

    settings = ServiceSettings(ops_port=0, max_open_connections=MOST)
    async with running(Service("test", settings), start) as service:
        await eventually("all was tried", lambda: service.started or service.failure is not None)
        assert service.failure is None
