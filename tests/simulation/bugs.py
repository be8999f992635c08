"""Known bugs, planted into the production code or what it stands on: the simulation must find each."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final
from unittest.mock import patch

from edge_server.clients import Client
from edge_server.log_order import LogOrder
from edge_server.moves import Moves
from edge_server.publish import Publisher
from edge_server.recent_log import Entry, RecentLog
from persister.group_reader import GroupReader
from persister.pipeline import Pipeline
from schemas.assignments import TableAssigned
from schemas.refusals import OVERLOADED, Refused
from tests.simulation.simulated_log import SimulatedLog
from tests.simulation.verdict import violations
from tests.simulation.world import World, run_seed


class CommitsBeforeWriting(Pipeline):
    """Tells how far it is written before it is."""

    async def _write(self) -> None:
        take = self._handover.take

        async def take_and_note() -> Any:
            batch = await take()
            self._uncommitted.add(batch.ends)
            return batch

        with patch.object(self._handover, "take", take_and_note):
            await super()._write()


def _out_of_order(self: LogOrder, entry: Entry) -> Sequence[Entry]:
    """Give an acked record its turn at once, whatever stands before it."""
    if entry.seq < self.next_seq or entry.seq in self._early:
        return ()
    self._early[entry.seq] = entry
    return (entry,)


def out_of_order(seed: int) -> World:
    """Delivery follows the acks, not the offsets."""
    with patch.object(LogOrder, "acked", _out_of_order):
        return run_seed(seed)


def no_dedupe(seed: int) -> World:
    """A retry is another message."""
    add = RecentLog.add

    def adds(self: RecentLog, entry: Entry) -> Entry:
        self._keys.clear()
        return add(self, entry)

    with patch.object(RecentLog, "add", adds), patch.object(RecentLog, "find", lambda _self, _key: None):
        return run_seed(seed)


def table_without_epoch(seed: int) -> World:
    """Followers compare versions alone, which begin anew with each leader."""
    with patch.object(TableAssigned, "age_key", property(lambda table: (0, table.version))):
        return run_seed(seed)


def refused_after_writing(seed: int) -> World:
    """What is too much is written all the same before it is refused."""
    admit = Publisher._admit

    def writes_first(self: Publisher, key: bytes, message_id: str, sent: Any, now: float) -> Any:
        if len(self._pending) >= self._max_pending:
            with patch.object(self, "_max_pending", len(self._pending) + 1):
                admit(self, key, message_id, sent, now)
            raise Refused(OVERLOADED)
        return admit(self, key, message_id, sent, now)

    with patch.object(Publisher, "_admit", writes_first):
        return run_seed(seed)


def never_read_again(seed: int) -> World:
    """Who was told to wait is forgotten."""
    with patch.object(Client, "_resume_reading", lambda _self, _transport: None):
        return run_seed(seed)


def nobody_moves(seed: int) -> World:
    """Who belongs elsewhere since a table is not told."""
    with patch.object(Moves, "set_destination", lambda *_arguments: None):
        return run_seed(seed)


def heard_after_stop(seed: int) -> World:
    """A persister's reader that has stopped still passes a rebalance on, to its successor's records."""
    stop = GroupReader.stop

    async def stops(self: GroupReader) -> None:
        on_revoked = self._on_revoked
        await stop(self)
        self._on_revoked = on_revoked

    with patch.object(GroupReader, "stop", stops):
        return run_seed(seed)


def unfenced(seed: int) -> World:
    """A leader that was frozen publishes although another has taken over."""

    async def no_fence(_self: SimulatedLog, _topic: str) -> None:
        return None

    with patch.object(SimulatedLog, "fence", no_fence):
        return run_seed(seed)


BUGS: Final[dict[str, Callable[[int], World]]] = {
    "commit before write": partial(run_seed, pipeline=CommitsBeforeWriting),
    "ack before replication": partial(run_seed, acks_before_replication=True),
    "delivery out of offset order": out_of_order,
    "no dedupe": no_dedupe,
    "table without epoch": table_without_epoch,
    "refused after writing": refused_after_writing,
    "never read again": never_read_again,
    "nobody moves": nobody_moves,
    "heard after stop": heard_after_stop,
    "unfenced": unfenced,
}


def seeds_to_find(bug: str, *, at_most: int) -> int | None:
    """Return how many seeds it takes until a bug breaks a promise: a plant that only crashes is not found."""
    run = BUGS[bug]
    return next(
        (seed + 1 for seed in range(at_most) if any(one.startswith("P") for one in violations(run(seed)))),
        None,
    )
