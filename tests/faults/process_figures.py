"""What a process uses, by the kernel, and what a service's metrics say of it."""

from pathlib import Path
from resource import getpagesize

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo.service_process import ServiceProcess


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * getpagesize()


def open_files(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def metric(session: aiohttp.ClientSession, service: ServiceProcess, sample: str) -> float:
    """Return the sum of a metric's samples, over all labels."""
    async with session.get(f"{service.ops_url}/metrics") as response:
        text = await response.text()
    return sum(
        found.value
        for family in text_string_to_metric_families(text)
        for found in family.samples
        if found.name == sample
    )
