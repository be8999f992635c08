"""Reads the resource usage of servers from ``/metrics``, and of processes of this machine from the kernel.

A server that does not answer is left out of that sample.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from pydantic import BaseModel

TIMEOUT_S: Final = 2.0
MACHINE: Final = "machine"
"""The name of the whole machine, which is sampled if processes of it are."""

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_WANTED: Final = {
    "process_cpu_seconds_total": "cpu_s",
    "process_resident_memory_bytes": "memory_bytes",
    "chat_persister_lag_records": "lag",
}


class ServerMoment(BaseModel):
    """One server at one moment. ``cpu_s`` counts from its start; ``lag``, if known, in records not stored."""

    cpu_s: float = 0.0
    memory_bytes: float = 0.0
    lag: float | None = None


@dataclass(frozen=True)
class Watched:
    """The servers to sample, by display name."""

    ops_urls: Mapping[str, str]
    pids: Mapping[str, int]


def parse_metrics(page: str) -> ServerMoment:
    """Return the usage from a page of metrics; values of several labels are added up."""
    sums: dict[str, float] = {}
    for line in page.splitlines():
        name = line.partition(" ")[0].partition("{")[0]
        field = _WANTED.get(name)
        if field is not None and (name != "chat_persister_lag_records" or "chat.messages" in line):
            sums[field] = sums.get(field, 0.0) + float(line.rpartition(" ")[2])
    return ServerMoment(**sums)


def of_process(pid: int) -> ServerMoment | None:
    """Return the usage of a process of this machine; None if it is gone or the kernel does not say."""
    try:
        return ServerMoment(cpu_s=cpu_s(pid), memory_bytes=resident_bytes(pid))
    except (OSError, IndexError):
        return None


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, all its threads, by Linux's clock of it (clock_getcpuclockid)."""
    return time.clock_gettime((~pid << 3) | 2)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def of_machine() -> ServerMoment | None:
    """Return the CPU time of all cores of this machine; None if the kernel does not say."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields)
    return ServerMoment(cpu_s=(user + nice + system + irq + softirq + steal) / _TICKS_PER_S)


async def read_servers(session: aiohttp.ClientSession, watched: Watched) -> dict[str, ServerMoment]:
    """Return the usage of all servers now. CPU and memory are the kernel's if it knows the process."""
    pages = await asyncio.gather(*(_page(session, url) for url in watched.ops_urls.values()))
    found = {name: page for name, page in zip(watched.ops_urls, pages, strict=True) if page is not None}
    for name, pid in watched.pids.items():
        moment = of_process(pid)
        if moment is not None:
            found[name] = found.get(name, ServerMoment()).model_copy(
                update={"cpu_s": moment.cpu_s, "memory_bytes": moment.memory_bytes}
            )
    machine = of_machine() if watched.pids else None
    if machine is not None:
        found[MACHINE] = machine
    return found


async def _page(session: aiohttp.ClientSession, url: str) -> ServerMoment | None:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with session.get(f"{url.rstrip('/')}/metrics", timeout=timeout) as response:
            return parse_metrics(await response.text()) if response.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
