"""What a service's metrics, and the kernel, say of it."""

from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo.service_process import ServiceProcess


def open_files(service: ServiceProcess) -> int:
    """Return how many descriptors a service has open."""
    return len(list(Path(f"/proc/{service.pid}/fd").iterdir()))


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
