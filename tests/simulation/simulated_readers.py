"""What reads the log: a consumer, as far as our code uses aiokafka's, and the persisters' consumer group."""

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError
from aiokafka.util import commit_structure_validate

from persister.group_reader import GroupReader
from persister.read_records import TOPICS
from runtime.log_reader import LogReader
from tests.simulation.process import Process
from tests.simulation.simulated_log import SimulatedLog

FIRST_IDLE_S = 0.05
IDLE_S = 5.0
"""An idle poll returns after this, the first ones sooner; real ones do so more often, and find nothing."""
SESSION_S = 1.0
"""A member that has been frozen for longer is no longer one."""


class SimulatedConsumer:
    """Reads partitions from where it is told. Any call may take long, and polling may fail."""

    def __init__(self, log: SimulatedLog, process: Process, *, most_idle_s: float = IDLE_S) -> None:
        self._log = log
        self._process = process
        self._idle_s = FIRST_IDLE_S
        self._most_idle_s = most_idle_s
        self._positions: dict[TopicPartition, int] = {}
        self._grown = asyncio.Event()
        self._generation = 0
        # What it was told of replicas: nothing, so that none is missing.
        self._client = SimpleNamespace(cluster=ClusterMetadata())

    async def start(self) -> None:
        await self._process.step()
        self._log.watch(self._grown)

    async def stop(self) -> None:
        self._log.forget(self._grown)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self._positions = dict.fromkeys(partitions, 0)

    def pause(self, *partitions: TopicPartition) -> None:
        """Nothing is fetched here before it is asked for."""

    def resume(self, *partitions: TopicPartition) -> None:
        """As before."""

    def assignment(self) -> set[TopicPartition]:
        return set(self._positions)

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self._process.step()
        return {tp: self._log.end(tp) for tp in partitions}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset
        self._grown.set()

    async def position(self, tp: TopicPartition) -> int:
        if tp not in self._positions:
            raise IllegalStateError(f"{tp} is not assigned")
        return self._positions[tp]

    async def getmany(
        self, *, timeout_ms: int, max_records: int = sys.maxsize
    ) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        await self._process.step()
        if self._process.chance.poll_breaks():
            raise KafkaConnectionError
        try:
            async with asyncio.timeout(self._idle_s):
                while not (found := self._take(max_records)):
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            self._idle_s = min(10 * self._idle_s, self._most_idle_s)
            return {}
        return found

    def _take(self, max_records: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        found: dict[TopicPartition, list[ConsumerRecord]] = {}
        for tp, position in self._positions.items():
            end = min(self._log.end(tp), position + max_records)
            if end > position:
                if not self._process.chance.calm:
                    end = self._process.chance.random.randint(position + 1, end)
                found[tp] = self._log.partitions[tp].records[position:end]
                self._positions[tp] = end
                max_records -= end - position
        return found


class SimulatedLogReader(LogReader):
    """The production reader over the simulated log."""

    def __init__(self, log: SimulatedLog, process: Process, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._log = log
        self._process = process

    def _consumer(self) -> Any:
        return SimulatedConsumer(self._log, self._process)


class Group:
    """A consumer group: who has which partition, in which generation, and what is committed."""

    def __init__(self) -> None:
        self.committed: dict[TopicPartition, int] = {}
        self.generation = 0
        self._members: list[GroupConsumer] = []
        self._silent: list[GroupConsumer] = []

    def join(self, member: "GroupConsumer") -> None:
        """Let a member in, and give the partitions out anew."""
        self._members.append(member)
        self.rebalance()

    def leave(self, member: "GroupConsumer") -> None:
        """Let a member go."""
        if member in self._silent:
            self._silent.remove(member)
        elif member in self._members:
            self._members.remove(member)
            self.rebalance()

    def expire(self) -> None:
        """Let members go that are silent, and in again once they are heard."""
        for member in [one for one in self._members if one.is_silent]:
            self.leave(member)
            self._silent.append(member)
        for member in [one for one in self._silent if not one.is_silent]:
            self.leave(member)
            self.join(member)

    def rebalance(self) -> None:
        """Give the partitions out anew. The members learn it some time later."""
        self.generation += 1
        for member, partitions in zip(self._members, self._shares(self._members), strict=True):
            member.told(self.generation, partitions)

    def _shares(self, members: Sequence["GroupConsumer"]) -> list[list[TopicPartition]]:
        return [member.subscribed[n :: len(members)] for n, member in enumerate(members)]


class GroupConsumer(SimulatedConsumer):
    """A member of the group."""

    def __init__(
        self,
        log: SimulatedLog,
        process: Process,
        group: Group,
        subscribed: list[TopicPartition],
        **options: float,
    ) -> None:
        super().__init__(log, process, **options)
        self._group = group
        self.subscribed = subscribed
        self._listener: Any = None
        self._told: asyncio.Queue[tuple[int, list[TopicPartition]]] = asyncio.Queue()

    @property
    def is_silent(self) -> bool:
        return not self._process.alive or self._process.frozen_s() > SESSION_S

    @property
    def _coordinator(self) -> "GroupConsumer":
        return self

    def check_errors(self) -> None:
        """No broker refuses a member for good."""

    def subscribe(self, _topics: Sequence[str], listener: Any) -> None:
        self._listener = listener
        self._process.spawn(self._follow())
        self._group.join(self)

    async def stop(self) -> None:
        self._group.leave(self)
        await super().stop()

    def told(self, generation: int, partitions: list[TopicPartition]) -> None:
        """Hear what the group has decided."""
        self._told.put_nowait((generation, partitions))

    async def _follow(self) -> None:
        while True:
            generation, partitions = await self._told.get()
            await asyncio.sleep(self._process.chance.rebalance())
            await self._process.step()
            self._listener.on_partitions_revoked(list(self._positions))
            self._positions = {}
            await self._process.step()
            self._generation = generation
            self.assign(partitions)
            assigned = self._listener.on_partitions_assigned(partitions)
            if assigned is not None:
                await assigned

    async def committed(self, tp: TopicPartition) -> int | None:
        await self._process.step()
        return self._group.committed.get(tp)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        commit_structure_validate(offsets)
        await self._process.step()
        if self._generation != self._group.generation:
            raise CommitFailedError
        self._group.committed.update(offsets)


class SimulatedGroupReader(GroupReader):
    """The production reader of the group over the simulated one."""

    def __init__(
        self, log: SimulatedLog, process: Process, group: Group, *arguments: Any, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._log = log
        self._process = process
        self._group = group

    def _new_consumer(self) -> Any:
        partitions = range(self._settings.kafka_partitions)
        subscribed = [TopicPartition(name, n) for name in TOPICS for n in partitions]
        return GroupConsumer(self._log, self._process, self._group, subscribed)
