"""Reports of edges, for tests."""

from collections.abc import Sequence
from typing import Literal

from schemas.log_records import EdgeReported, spread_of


def report(
    edge: str,
    state: Literal["serving", "draining", "stopped"] = "serving",
    *,
    url: str | None = None,
    process: str | None = None,
    connected: int = 0,
    capacity: int = 100,
    points: Sequence[int] | None = None,
    deaf: bool = False,
) -> EdgeReported:
    """Return what ``edge`` says; where ``points`` are given, it has one client at each of them."""
    return EdgeReported(
        edge=edge,
        url=url or f"http://{edge}",
        capacity=capacity,
        connected=connected if points is None else len(points),
        state=state,
        deaf=deaf,
        process=process,
        spread=None if points is None else spread_of(points),
    )
