"""What is done about the number of edges is said in numbers that are right."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy.demo import edge_scaling
from deploy.demo.edge_count import EdgeCount
from deploy.demo.edge_scaling import EdgeScaling


async def test_a_dead_edge_is_replaced_to_keep_the_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two are kept; where one is left, which has room, the dispatcher wants no more than that one."""
    started = asyncio.Event()
    edge = SimpleNamespace(name="edge-3", start=lambda: None)
    system = SimpleNamespace(dispatcher_token="", add_edge=lambda: edge)
    scaling = EdgeScaling(cast(Any, system), cast(Any, None), EdgeCount(least=2))

    async def table(_: EdgeScaling) -> dict[str, Any]:
        return {"leading": True, "edges_serving": 1, "edges_wanted": 1, "edges": []}

    async def until(*_: object) -> None:
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(edge_scaling, "POLL_EVERY_S", 0.0)
    monkeypatch.setattr(EdgeScaling, "_table", table)
    monkeypatch.setattr(EdgeScaling, "_wait_for_edge", until)
    running = asyncio.create_task(scaling.run())
    await started.wait()
    running.cancel()
    assert capsys.readouterr().out == "2 edges are wanted: starting edge-3\n"
