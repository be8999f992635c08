"""What a dispatcher says of its own leading."""

import asyncio
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer

from dispatcher.leadership import Leadership, Ownership
from dispatcher.leading import FAULT_AFTER_S, Leader
from dispatcher.settings import DispatcherSettings
from dispatcher.term import Pace, Term
from runtime import metrics

SETTINGS = DispatcherSettings.model_validate({"dispatcher_token": "only-for-tests-0123456789"})


def leading() -> float:
    (gauge,) = metrics.LEADING.collect()
    return gauge.samples[0].value


async def test_only_one_who_hears_what_it_writes_is_said_to_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends(*_: Any) -> None:
        raise asyncio.CancelledError

    leadership, now = Leadership(SETTINGS), 0.0
    monkeypatch.setattr(leadership, "_take_part", ends)
    with pytest.raises(asyncio.CancelledError):
        await leadership.run()
    assert leading() == 0.0
    nothing = cast(AIOKafkaConsumer, None)
    leadership.leader = leader = Leader(SETTINGS, nothing, Ownership(nothing), lambda: now)
    assert leading() == 0.0, "it takes over"
    leader.term = Term(None, Pace(SETTINGS.dead_after_s))
    leader.clock.see(leader.clock.send(now), now)
    assert leading() == 1.0
    now += FAULT_AFTER_S
    assert leading() == 0.0, "no tick came back"
    leader.clock.see(leader.clock.send(now), now)
    assert leading() == 1.0
    leadership.leader = None
    assert leading() == 0.0
