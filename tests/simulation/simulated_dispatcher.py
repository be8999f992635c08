"""A dispatcher: its own leadership over a simulated group, its own leader over a simulated log."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

from aiokafka import TopicPartition
from pydantic import SecretStr

from dispatcher.keep_leader import KeepLeader
from dispatcher.leadership import Leadership
from dispatcher.leading import Leader
from dispatcher.ownership import PARTITION
from dispatcher.settings import DispatcherSettings
from dispatcher.term import Term
from runtime.assignments import Assignments
from schemas import topics
from tests.simulation.process import Process
from tests.simulation.simulated_log import SimulatedLog
from tests.simulation.simulated_producer import SimulatedProducer
from tests.simulation.simulated_readers import Group, GroupConsumer, SimulatedLogReader

SETTINGS: Final = DispatcherSettings(dispatcher_token=SecretStr("x" * 16), edge_grace_s=1.0, log_dir="")
POLL_S: Final = 0.1


class SimulatedLeadership(Leadership):
    """The production leadership, in a simulated group."""

    def __init__(self, process: Process, log: SimulatedLog, group: Group) -> None:
        super().__init__(SETTINGS, Assignments(), partial(SimulatedLeader, log, process))
        self._new_consumer = partial(DispatchersConsumer, log, process, group)

    def _consumer(self, group: KeepLeader) -> Any:
        return self._new_consumer(group)


class SimulatedLeader(Leader):
    """The production leader, over the simulated log."""

    def __init__(self, log: SimulatedLog, process: Process, *arguments: Any) -> None:
        new_reader = partial(SimulatedLogReader, log, process)
        super().__init__(*arguments, monotonic=asyncio.get_running_loop().time, new_reader=new_reader)
        self._log = log
        self._simulated_process = process

    async def _producer(self, _stack: AsyncExitStack, transactional_id: str | None) -> Any:
        await self._simulated_process.step()
        fence = await self._log.fence(topics.ASSIGNMENTS) if transactional_id else None
        return SimulatedProducer(self._log, self._simulated_process, fence=fence)

    async def _publish(self, tables: Any, term: Term) -> None:
        await super()._publish(tables, term)
        process = self._simulated_process
        process.trace(f"{process.name} published table {term.epoch}.{term.version}")


class DispatchersGroup(Group):
    """The dispatchers' group: their own assignor says who has the partition."""

    def _shares(self, members: Sequence[GroupConsumer]) -> list[list[TopicPartition]]:
        told = {
            member.id: member.assignor.metadata([topics.EDGE_STATUS])
            for member in members
            if isinstance(member, DispatchersConsumer)
        }
        assigned = KeepLeader().assign(None, told) if told else {}
        return [[PARTITION] if assigned[member].assignment else [] for member in told]


class DispatchersConsumer(GroupConsumer):
    """A member of the group. What it has not been assigned before it reads from the end on."""

    def __init__(self, log: SimulatedLog, process: Process, group: Group, assignor: KeepLeader) -> None:
        super().__init__(log, process, group, [PARTITION], most_idle_s=POLL_S)
        self.id = f"{process.chance.random.random()}"
        self.assignor = assignor

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self._positions = {tp: self._log.end(tp) for tp in partitions}
