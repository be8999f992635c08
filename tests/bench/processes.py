"""Servers as processes of this machine, and the CPU time that each has used. Nothing outlives the run."""

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.demo.environment import Planned
from deploy.demo.service_process import ServiceProcess
from deploy.local.backing import RunningBacking
from deploy.local.ports import HOST, free_ports
from deploy.local.processes import ManagedProcess, wait_until
from deploy.local.service import BackingProcess
from loadtest.server_side import cpu_s

LISTEN_DEADLINE_S: Final = 30.0
NO_LIMIT: Final = "1000000"
"""Few measure what many do: what is counted a user here is that of thousands."""

LONG_S: Final = "300"
"""No ping within a run: the counting members do not answer any."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rounds: int
    scale: float

    def of(self, count: int) -> int:
        """Return a count for this size of run."""
        return max(1, round(count * self.scale))


@dataclass(frozen=True)
class Server:
    """A server that is ready."""

    port: int
    process: ServiceProcess

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid


class Rig:
    """Starts what a benchmark needs; all of it stops with ``stack``."""

    def __init__(self, stack: AsyncExitStack, folder: Path, backing: RunningBacking | None = None) -> None:
        self._stack = stack
        self._folder = folder
        self._backing = backing

    @property
    def broker_pids(self) -> list[int]:
        """The broker, where it is a process of this machine that we have started."""
        kafka = self._backing.kafka if self._backing else None
        return [kafka.pid] if isinstance(kafka, BackingProcess) else []

    async def edge(self, name: str) -> Server:
        """Start an edge."""
        port, ops_port = free_ports(2)
        env = {"EDGE_NAME": name, "EDGE_PORT": str(port), "PING_INTERVAL_S": LONG_S, "DRAIN_DEADLINE_S": "0"}
        env |= {"MESSAGES_PER_S_PER_USER": NO_LIMIT, "EVENTS_PER_S_PER_CLIENT": NO_LIMIT}
        env |= {"CONNECTS_PER_S": NO_LIMIT, "CONNECTS_BURST": NO_LIMIT}
        env |= {"CONNECTS_PER_S_PER_USER": NO_LIMIT, "CONNECTS_BURST_PER_USER": NO_LIMIT}
        return await self._start(name, "edge_server", port, ops_port, env)

    async def gateway(self, database: str) -> Server:
        """Start a gateway that reads ``database``."""
        port, ops_port = free_ports(2)
        env = {"PUBLIC_PORT": str(port), "MONGODB_DATABASE": database}
        env |= {"REQUESTS_PER_S_PER_USER": NO_LIMIT, "MAX_READS_PER_USER": NO_LIMIT}
        return await self._start("api_gateway", "api_gateway", port, ops_port, env)

    async def persister(self, database: str, group: str) -> Server:
        """Start a persister that writes ``database``."""
        (port,) = free_ports(1)
        env = {"MONGODB_DATABASE": database, "PERSISTER_GROUP": group}
        return await self._start("persister", "persister", port, port, env)

    async def reference(self, module: str, **env: str) -> Server:
        """Start one of the reference servers."""
        (port,) = free_ports(1)
        return await self._start(module, f"tests.bench.{module}", port, port, env)

    async def program(self, port: int, *argv: str) -> int:
        """Start a program that is nobody's service, and wait until it listens. Returns its process."""
        process = ManagedProcess(argv[0], argv, log_file=self._folder / argv[0] / "stdout.log")
        self._stack.push_async_callback(asyncio.to_thread, process.stop)
        process.launch()
        await asyncio.to_thread(wait_until, lambda: _listens(port), LISTEN_DEADLINE_S, f"{argv[0]} at {port}")
        return process.pid

    async def _start(
        self, name: str, module: str, port: int, ops_port: int, env: Mapping[str, str]
    ) -> Server:
        told = {"OPS_PORT": str(ops_port), "LOG_DIR": str(self._folder / name), "LOG_STDOUT": "none", **env}
        process = ServiceProcess(Planned(name, module, ops_port, told), self._folder)
        self._stack.push_async_callback(asyncio.to_thread, process.stop)
        await asyncio.to_thread(process.start)
        await asyncio.to_thread(wait_until, lambda: _listens(port), LISTEN_DEADLINE_S, f"{name} at {port}")
        return Server(port, process)


def _listens(port: int) -> bool:
    """Say whether clients can connect: a service may say that it is ready a moment before."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def own_cpu_s() -> float:
    """Return the CPU seconds that this process has used."""
    return cpu_s(os.getpid())
