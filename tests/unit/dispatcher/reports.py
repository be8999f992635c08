"""Reports of edges, for tests."""

from typing import Literal

from schemas.log_records import EdgeReported


def report(
    edge: str,
    state: Literal["serving", "draining", "stopped"] = "serving",
    *,
    url: str | None = None,
    connected: int = 0,
    capacity: int = 100,
) -> EdgeReported:
    """Return what ``edge`` says."""
    return EdgeReported(
        edge=edge, url=url or f"http://{edge}", capacity=capacity, connected=connected, state=state
    )
