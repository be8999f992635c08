"""What a leader makes of the records that it reads, with the log's clock and the real one apart."""

import asyncio
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaConnectionError

from dispatcher.leading import MAX_LOST_TICKS, Leader
from dispatcher.ownership import Ownership
from dispatcher.settings import DispatcherSettings
from dispatcher.term import Pace, Term
from runtime import metrics
from runtime.log_reader import Stalled
from schemas import topics
from schemas.log_records import DrainAsked, EdgeReported, EdgesAsked, LeaderTicked
from tests.unit.dispatcher.records import record
from tests.unit.dispatcher.reports import report

GRACE_S = 5.0


class Reading:
    """A leader that reads what the test gives it, at times that the test sets."""

    def __init__(self) -> None:
        settings = DispatcherSettings.model_validate(
            {"dispatcher_token": "only-for-tests-0123456789", "edge_grace_s": GRACE_S}
        )
        nothing = cast(AIOKafkaConsumer, None)
        self.leader = Leader(settings, nothing, Ownership(nothing), monotonic=lambda: self.monotonic)
        self.monotonic = 0.0
        self.term = Term(None, Pace())

    def read(self, *records: ConsumerRecord) -> None:
        self.leader._process(self.term, records)

    def tick(self, leader: str | None = None) -> ConsumerRecord:
        clock = self.leader.clock
        number = clock.send(self.monotonic) if clock.number == clock.seen else clock.number
        return record(LeaderTicked(leader=leader or self.leader._id, number=number))

    def pass_ticking(self, seconds: float) -> None:
        """Let time pass in which the log works and no edge says anything."""
        for _ in range(round(seconds / 0.5)):
            self.monotonic += 0.5
            self.read(self.tick())

    @property
    def dead(self) -> set[str]:
        return {edge for edge, known in self.term.reports.edges.items() if known.state == "dead"}


def namesakes() -> float:
    (gauge,) = metrics.EDGE_NAMESAKES.collect()
    return gauge.samples[0].value


def test_silence_counts_while_ticks_come_back() -> None:
    here = Reading()
    here.read(here.tick(), record(report("a")))
    here.pass_ticking(3.0)
    assert here.dead == set()
    here.pass_ticking(0.5)
    assert here.dead == {"a"}


def test_silence_does_not_count_while_kafka_is_away() -> None:
    here = Reading()
    here.read(here.tick(), record(report("a")), record(report("b")))
    here.monotonic += 20.0
    here.read(here.tick())
    here.pass_ticking(3.0 + GRACE_S - 0.5)
    assert here.dead == set()
    here.read(record(report("b")))
    here.pass_ticking(1.0)
    assert here.dead == {"a"}


def test_the_ticks_of_another_leader_move_no_clock() -> None:
    here = Reading()
    here.read(here.tick(), record(report("a")))
    for _ in range(20):
        here.monotonic += 0.5
        here.read(here.tick("a predecessor"))
    assert here.leader.clock.now == 0.0
    assert here.dead == set()


def test_a_record_that_cannot_be_read_disturbs_nothing() -> None:
    here = Reading()
    broken, later = record(report("a")), record(report("a"))
    broken.value = b"{"
    later.headers = [("ce_type", EdgeReported.ce_type.replace("v1", "v2").encode())]
    bad = metrics.BAD_RECORDS.labels(topic=topics.EDGE_STATUS)._value
    before = bad.get()
    here.read(here.tick(), broken, later, record(report("b")))
    assert set(here.term.reports.edges) == {"b"}
    assert bad.get() == before + 2


def test_of_two_types_in_a_record_the_first_counts_as_for_all_readers() -> None:
    here = Reading()
    wish = record(EdgesAsked(edges=7))
    wish.headers = [*wish.headers, ("ce_type", DrainAsked.ce_type.encode())]
    here.read(here.tick(), wish)
    assert here.term.edges_asked == 7


def test_wishes_and_reports_are_taken_in_the_order_of_the_log() -> None:
    here = Reading()
    here.read(here.tick(), record(report("a")), record(report("b")))
    drain, no_drain = (record(DrainAsked(edge="a", drain=wish)) for wish in (True, False))
    here.read(drain, record(report("a")), record(EdgesAsked(edges=7)))
    assert (set(here.term.table.serving), here.term.edges_asked) == ({"b"}, 7)
    here.read(no_drain, record(report("a")))
    assert here.term.table.serving == {"a", "b"}


def test_no_tick_for_some_seconds_is_a_fault() -> None:
    here = Reading()
    here.leader.term = here.term
    here.read(here.tick())
    assert here.leader.fault() is None
    here.monotonic += 6.0
    assert here.leader.fault() is not None


class SilentConsumer:
    """One that is stuck: it reads nothing, or, once, what it is given."""

    def __init__(self, *records: ConsumerRecord) -> None:
        self._records = list(records)

    async def getmany(self, **_: object) -> dict[str, list[ConsumerRecord]]:
        records, self._records = self._records, []
        return {"edge.status": records} if records else {}


def written(leader: Leader, *, error: Exception | None = None) -> None:
    """Let a tick of ours be written, or not."""
    sent: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    sent.set_exception(error) if error else sent.set_result(None)
    leader._tick_is_written(sent)


async def test_a_consumer_is_stuck_where_ticks_are_written_and_none_is_read() -> None:
    here = Reading()
    here.leader._consumer = cast(AIOKafkaConsumer, SilentConsumer())
    for _ in range(MAX_LOST_TICKS):
        written(here.leader)
    written(here.leader, error=KafkaConnectionError())
    assert await here.leader._poll() == [], "what was not written can't be read"
    here.read(here.tick())
    for _ in range(MAX_LOST_TICKS):
        written(here.leader)
    assert await here.leader._poll() == [], "one that came back makes up for all before it"
    written(here.leader)
    with pytest.raises(Stalled):
        await here.leader._poll()


async def test_what_was_read_is_not_read_again_after_a_rebalance() -> None:
    here = Reading()
    read = [record(report("a"), offset=7), record(report("b"), offset=8)]
    here.leader._consumer = cast(AIOKafkaConsumer, SilentConsumer(*read))
    for _ in range(2):
        await here.leader._poll()
        assert here.leader._ownership.next_offset == 9


def test_a_second_edge_of_the_same_name_is_counted_and_told_once_while_it_reports(
    caplog: pytest.LogCaptureFixture,
) -> None:
    here = Reading()
    here.read(here.tick(), record(report("a")), record(report("a", url="http://other")))
    here.read(record(report("a", url="http://other")))
    assert namesakes() == 1
    assert [one.getMessage() for one in caplog.records].count("two edges have the same name") == 1
    here.pass_ticking(3.5)
    assert namesakes() == 0
