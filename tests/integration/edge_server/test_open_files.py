"""An edge takes as many connections as the machine allows, and says where those are too few."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from deploy.local.ports import free_ports
from deploy.local.processes import ManagedProcess
from tests.integration.edge_server.abusers import OPEN
from tests.waiting import eventually

LOW = 60
"""Enough for an edge to start."""
CLIENTS = 2 * LOW


@asynccontextmanager
async def edge_with(limits: str, folder: Path) -> AsyncIterator[tuple[str, str]]:
    """Run an edge as a process with these limits. Yields its URL, and what it had said when it was ready."""
    port, ops_port = free_ports(2)
    process = ManagedProcess(
        name="edge_server",
        argv=["sh", "-c", f'ulimit {limits} {LOW}; exec "$0" -m edge_server', sys.executable],
        env={
            "EDGE_PORT": str(port),
            "OPS_PORT": str(ops_port),
            "LOG_STDOUT": "text",
            "DRAIN_DEADLINE_S": "0",
            "EDGE_CAPACITY": "200",
            "MAX_HANDSHAKES": "200",
        },
        log_file=folder / "stdout.log",
    )

    async def is_ready() -> bool:
        try:
            async with session.get(f"http://127.0.0.1:{ops_port}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    await asyncio.to_thread(process.launch)
    try:
        async with aiohttp.ClientSession() as session:
            await eventually("the edge is ready", is_ready)
        yield f"http://127.0.0.1:{port}", (folder / "stdout.log").read_text()
    finally:
        await asyncio.to_thread(process.stop)


@pytest.mark.usefixtures("backing")
async def test_a_low_soft_limit_is_no_limit(tmp_path: Path) -> None:
    """containerd gives its containers 1024, and libuv resets whoever comes then without a word."""
    async with edge_with("-Sn", tmp_path) as (url, said), AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        for _ in range(CLIENTS):
            await stack.enter_async_context(session.ws_connect(url + OPEN))
        assert "open files" not in said


@pytest.mark.usefixtures("backing")
async def test_a_hard_limit_that_is_too_low_is_said(tmp_path: Path) -> None:
    async with edge_with("-n", tmp_path) as (_, said):
        (line,) = [line for line in said.splitlines() if "open files" in line]
        assert line.startswith("error: ")
        assert f'"allowed": {LOW}, "needed": 1400' in line
