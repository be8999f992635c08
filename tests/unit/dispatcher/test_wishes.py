"""A wish is granted or refused in time, whatever Kafka does."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from dispatcher import wishes
from dispatcher.settings import DispatcherSettings
from dispatcher.wishes import Wishes
from runtime.assignments import Assignments
from schemas.refusals import UNAVAILABLE, Refused


class FrozenProducer:
    """One whose brokers say nothing any more: what it has taken is never settled."""

    async def start(self) -> None:
        pass

    async def send(self, *_: Any, **__: Any) -> "asyncio.Future[Any]":
        return asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        await asyncio.Event().wait()


async def test_a_wish_is_refused_in_time_though_the_producer_does_not_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wishes, "new_producer", lambda *_, **__: FrozenProducer())
    monkeypatch.setattr(wishes, "GRANT_DEADLINE_S", 0.01)
    monkeypatch.setattr(wishes, "STOP_DEADLINE_S", 0.01)
    asked = Wishes(DispatcherSettings(dispatcher_token=SecretStr("x" * 16)), Assignments())
    async with asyncio.timeout(60):
        with pytest.raises(Refused) as refused:
            await asked.edges(3)
    assert refused.value.refusal is UNAVAILABLE
