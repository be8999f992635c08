"""What a dispatcher says of its own leading."""

import asyncio
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError, ProducerFenced

from dispatcher import leadership as module
from dispatcher.keep_leader import KeepLeader
from dispatcher.leadership import Leadership
from dispatcher.leading import FAULT_AFTER_S, Leader
from dispatcher.ownership import Ownership
from dispatcher.settings import DispatcherSettings
from dispatcher.term import Pace, Term
from runtime import metrics
from runtime.assignments import Assignments
from runtime.log_reader import Stalled
from tests.unit.dispatcher.records import record

SETTINGS = DispatcherSettings.model_validate({"dispatcher_token": "only-for-tests-0123456789"})


def leading() -> float:
    (gauge,) = metrics.LEADING.collect()
    return gauge.samples[0].value


async def test_only_one_who_hears_what_it_writes_is_said_to_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends(*_: Any) -> None:
        raise asyncio.CancelledError

    leadership, now = Leadership(SETTINGS, Assignments()), 0.0
    monkeypatch.setattr(leadership, "_take_part", ends)
    with pytest.raises(asyncio.CancelledError):
        await leadership.run()
    assert leading() == 0.0
    nothing = cast(AIOKafkaConsumer, None)
    leadership.leader = leader = Leader(SETTINGS, nothing, Ownership(nothing), monotonic=lambda: now)
    assert leading() == 0.0, "it takes over"
    leader.term = Term(None, Pace())
    leader.clock.tick_returned(leader.clock.send(now), now)
    assert leading() == 1.0
    now += FAULT_AFTER_S
    assert leading() == 0.0, "no tick came back"
    leader.clock.tick_returned(leader.clock.send(now), now)
    assert leading() == 1.0
    leadership.leader = None
    assert leading() == 0.0


def test_one_whose_tables_are_ignored_is_not_said_to_lead() -> None:
    """A dispatcher of another group leads, or led, in a higher epoch, and has not fenced us."""
    published, nothing = Assignments(), cast(AIOKafkaConsumer, None)
    leadership = Leadership(SETTINGS, published)
    leadership.leader = leader = Leader(SETTINGS, nothing, Ownership(nothing), monotonic=lambda: 0.0)
    leader.term = term = Term(None, Pace())
    leader.clock.tick_returned(leader.clock.send(0.0), 0.0)
    own = term.next_table()
    published.take(0, [record(own)])
    assert (leadership.fault(), leadership._leads_well()) == (None, True)
    published.take(0, [record(own.model_copy(update={"epoch": own.epoch + 1}), offset=1)])
    assert leadership.fault() == "another dispatcher led in epoch 2: tables of epoch 1 are ignored"
    assert not leadership._leads_well()


async def test_a_dispatcher_takes_part_again_whatever_ended_its_last_try_and_says_what_that_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = [ProducerFenced(), KafkaConnectionError(), OSError(), Stalled(), TimeoutError()]
    leadership, faults = Leadership(SETTINGS, Assignments()), list[str | None]()

    async def take_part(*_: Any) -> None:
        faults.append(leadership.fault())
        raise ends[len(faults) - 1] if len(faults) <= len(ends) else asyncio.CancelledError

    monkeypatch.setattr(leadership, "_take_part", take_part)
    monkeypatch.setattr(module, "RETRY_AFTER_S", 0.0)
    with pytest.raises(asyncio.CancelledError):
        await leadership.run()
    kept_out = [f"not in the group: {type(one).__name__}" for one in ends[1:]]
    assert faults == ["not yet in the group"] * 2 + kept_out


async def test_a_standby_says_whether_the_group_answers_until_it_is_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leadership, faults = Leadership(SETTINGS, Assignments()), list[str | None]()

    class Consumer:
        async def getmany(self, **_: Any) -> None:
            faults.append(leadership.fault())
            ownership.held = len(faults) == 4

        async def end_offsets(self, _: object) -> None:
            if len(faults) == 2:
                await asyncio.Event().wait()

    consumer = cast(AIOKafkaConsumer, Consumer())
    ownership = Ownership(consumer)
    monkeypatch.setattr(module, "PROBE_TIMEOUT_S", 0.01)
    await leadership._stand_by(consumer, ownership)
    assert faults == ["not yet in the group", None, "the group does not answer", None]


async def test_one_who_leads_no_longer_shows_nothing_of_what_it_led() -> None:
    """Whoever asks for the most of all dispatchers would go on reading it."""

    class Fenced(Leader):
        async def run(self, group: KeepLeader) -> None:
            group.leads_in_epoch = 7
            metrics.EDGES_WANTED.set(3)
            metrics.EDGE_NAMESAKES.set(1)
            metrics.EDGES.labels(state="serving").set(3)
            raise ProducerFenced

    nothing, group = cast(AIOKafkaConsumer, None), KeepLeader()
    leadership = Leadership(SETTINGS, Assignments(), Fenced)
    with pytest.raises(ProducerFenced):
        await leadership._lead(nothing, Ownership(nothing), group)
    assert (leadership.leader, group.leads_in_epoch) == (None, None)
    assert (metrics.EDGES_WANTED._value.get(), metrics.EDGE_NAMESAKES._value.get()) == (0, 0)
    assert [gauge.samples for gauge in metrics.EDGES.collect()] == [[]]
