"""What a service's metrics, and the kernel, say of it."""

from pathlib import Path

import aiohttp

from deploy.demo.service_process import ServiceProcess
from tests.metrics_text import metric_sum


def open_files(service: ServiceProcess) -> int:
    """Return how many descriptors a service has open."""
    return len(list(Path(f"/proc/{service.pid}/fd").iterdir()))


async def metric(session: aiohttp.ClientSession, service: ServiceProcess, sample: str) -> float:
    """Return the sum of a metric's samples, over all labels."""
    async with session.get(f"{service.ops_url}/metrics") as response:
        return metric_sum(await response.text(), sample)
