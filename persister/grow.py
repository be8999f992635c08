"""``python -m persister.grow``: the operators' command that gives the log more partitions, by new topics.

A group's ``seq`` is an offset, and among more partitions a group may be in another one. So each new partition
begins beyond the end of every old one: what is said from then on stands after all that was said before, in
history as in the cursors of clients. Messages stay in the store; groups, memberships and names are copied.
It takes a persister's settings.
"""

import asyncio
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from persister.batch import Ends
from persister.growing_topics import (
    WHILE_FILLED,
    Config,
    GrowingTopics,
    growing_topics,
    write_all,
)
from persister.progress import begin_progress, wait_until_stored
from persister.settings import PersisterSettings
from runtime import logs
from runtime.kafka_topics import ensure_topics
from runtime.mongo import Store, StoreUnavailable, open_store
from runtime.read_settings import load
from runtime.service import Fatal
from runtime.settings import MAX_PARTITIONS
from schemas import topics

INTERRUPTED: Final = 130


class CannotGrow(RuntimeError):
    """Nothing was changed; the text says why."""


class RollbackFailed(RuntimeError):
    """A growth failed and could not be rolled back. The text says what is left to do by hand."""

    def __init__(self, failed: BaseException, left: Sequence[str]) -> None:
        super().__init__(
            f"{error_text(failed)}\nNot all of it could be taken back. "
            'Do this by hand, as "Giving it up" in docs/operating/grow.md shows:\n  ' + "\n  ".join(left)
        )


class Growth:
    """One growth, from a generation of the topics to the next."""

    def __init__(
        self, old: PersisterSettings, new: PersisterSettings, kafka: GrowingTopics, store: Store
    ) -> None:
        self._old = old
        self.new = new
        self._kafka = kafka
        self._store = store
        self.on_rollback: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Create the next generation completely, or roll everything back.

        Raises `CannotGrow`, TimeoutError, whatever Kafka and the store raise, and `RollbackFailed`.
        """
        for name in topics.OF_GENERATIONS:
            if await self._kafka.exists(self.new.topic(name)):
                raise CannotGrow(
                    f"{self.new.topic(name)} is there already: did the log grow before, or was that killed? "
                    'If killed, begin by "Giving it up" in docs/operating/grow.md'
                )
        await ensure_topics(self._old, [*topics.OF_GENERATIONS, topics.DEAD_LETTERS])
        configs = {name: await self._kafka.config(self._old.topic(name)) for name in topics.OF_GENERATIONS}
        try:
            await self._seal(configs)
            ends = await self._ends_once_stored()
            for name in topics.OF_GENERATIONS:
                await self._create_and_fill(name, configs[name], beginning_of(name, self._old, ends))
            await self._kafka.add_partitions(topics.DEAD_LETTERS, self.new.kafka_partitions)
        except BaseException as error:
            self.on_rollback()
            if left := await self._roll_back(configs):
                raise RollbackFailed(error, left) from error
            raise

    async def _seal(self, configs: Mapping[str, Config]) -> None:
        for name, config in configs.items():
            await self._kafka.configure(self._old.topic(name), {**config, **topics.SEAL})

    async def _ends_once_stored(self) -> Ends:
        """Wait until the running persister has stored all of the old topics; return their ends."""
        ends: Ends = {}
        for name in topics.OF_GENERATIONS:
            ends |= await self._kafka.ends(self._old.topic(name), self._old.kafka_partitions)
        await wait_until_stored(self._store, ends)
        return ends

    async def _create_and_fill(self, name: str, config: Config, beginning: int) -> None:
        topic, partitions = self.new.topic(name), self.new.kafka_partitions
        sys.stdout.write(f"{topic}: {partitions} partitions from {beginning} on\n")
        await self._kafka.create(topic, partitions, {**config, **WHILE_FILLED})
        beginnings = await self._kafka.begin_at(topic, partitions, beginning)
        await self._kafka.configure(topic, config)
        if "compact" in config.get("cleanup.policy", ""):
            # One partition at a time: the command shares the memory of a persister.
            for partition in range(self._old.kafka_partitions):
                state = await self._kafka.state(TopicPartition(self._old.topic(name), partition))
                await write_all(self.new, topic, state)
        await begin_progress(self._store, beginnings)

    async def _roll_back(self, configs: Mapping[str, Config]) -> list[str]:
        """Roll back; return the steps that failed. Unseal first: nobody can chat while a topic is sealed."""
        steps: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        for name, config in configs.items():
            topic = self._old.topic(name)
            steps.append((f"unseal {topic}", partial(self._kafka.configure, topic, config)))
        for name in configs:
            topic = self.new.topic(name)
            steps.append((f"delete {topic}", partial(self._delete, topic)))
        left = []
        for step, run_step in steps:
            try:
                await run_step()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the others are still to be done
                left.append(f"{step} ({error_text(error)})")
        return left

    async def _delete(self, topic: str) -> None:
        if await self._kafka.exists(topic):
            await self._kafka.delete(topic)


def error_text(error: BaseException) -> str:
    """Return an error's text, or its repr if that is empty."""
    return str(error) or repr(error)


def next_generation(old: PersisterSettings, partitions: int) -> PersisterSettings:
    """Return the settings of all services after the growth. Raises `CannotGrow` if it is none."""
    if partitions <= old.kafka_partitions:
        raise CannotGrow(f"there are {old.kafka_partitions} partitions: {partitions} are not more")
    if partitions > MAX_PARTITIONS:
        raise CannotGrow(f"no service takes more than {MAX_PARTITIONS} partitions: {partitions} are too many")
    if not old.kafka_durable:
        raise CannotGrow("the broker in memory has no transactions; begin anew with it")
    generation = old.kafka_generation + 1
    return old.model_copy(update={"kafka_partitions": partitions, "kafka_generation": generation})


def beginning_of(name: str, old: PersisterSettings, ends: Ends) -> int:
    """Return an offset that is beyond all partitions of an old topic."""
    return max(end for tp, end in ends.items() if tp.topic == old.topic(name))


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m persister.grow", description=__doc__)
    parser.add_argument("partitions", type=int, help="how many each topic is to have")
    return parser.parse_args()


def _ignore_signals() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)


async def _main(partitions: int, settings: PersisterSettings) -> int:
    grown: PersisterSettings | None = None
    why, code = "", 1
    try:
        # Arguments and settings are checked before Kafka is opened: the library's consumer, stopped as soon
        # as it has started, raises a CancelledError that hides the reason.
        new = next_generation(settings, partitions)
        async with open_store(settings) as store, growing_topics(settings) as kafka:
            growth = Growth(settings, new, kafka, store)
            growth.on_rollback = _ignore_signals
            await growth.run()
            grown = new
    except (CannotGrow, RollbackFailed, Fatal, KafkaError, StoreUnavailable, OSError) as error:
        why = error_text(error)
    except asyncio.CancelledError:
        why, code = "interrupted, and all is as it was", INTERRUPTED
    if grown is None:
        sys.stderr.write(f"not grown: {why}\n")
        return code
    generation = grown.kafka_generation
    sys.stdout.write(
        f"Now start all services with KAFKA_GENERATION={generation} KAFKA_PARTITIONS={partitions}\n"
    )
    return 0


if __name__ == "__main__":
    wanted, known = _arguments().partitions, load(PersisterSettings, "persister.grow", [])
    logs.install("persister.grow", known)
    # A shell's background job starts with SIGINT ignored, and so SIGTERM would be, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # SIGTERM is handled as Ctrl-C: it rolls back.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    sys.exit(asyncio.run(_main(wanted, known)))
