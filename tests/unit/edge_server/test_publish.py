"""Each sender is told once what became of its message, and never twice is one message written."""

import asyncio
import logging
from typing import Any, cast

import orjson
import pytest
from aiokafka import ConsumerRecord
from prometheus_client import REGISTRY

from edge_server import publish
from edge_server.delivery import Delivery
from edge_server.fan_out import FanOut
from edge_server.message_writer import UNKNOWN
from edge_server.publish import Publisher
from edge_server.recent_log import Entry, RecentLog
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from runtime import metrics
from schemas.client_events import SendMessage
from schemas.log_records import MessageSent, message_value
from schemas.refusals import Refused
from tests.counting import counting
from tests.unit.edge_server.producers import Producer, Sent
from tests.waiting import eventually, in_background, passes

UP = "up202000001"


class Edge:
    """A publisher in front of a broker that the test plays."""

    def __init__(self, **settings: Any) -> None:
        self.window = RecentLog(max_bytes=10**6, max_records=100)
        self.producer = Producer()
        rooms = Rooms()
        self.delivery = Delivery(rooms, self.window, FanOut(rooms), beginning=lambda _: (0, 0))
        made = EdgeSettings(**settings)
        self.publisher = Publisher(made, cast(Any, self.producer), self.delivery, self.window)
        self.told: list[Entry | Refused] = []

    def say(self, message_id: str, text: str = "hello", room: str = "g", up: str = UP) -> None:
        sent = SendMessage(message=text, up=up, room=room, timestamp=5)
        self.publisher.publish(message_id, sent, self.told.append)

    async def says(self, *message_ids: str) -> None:
        """Say something by each of these ids, and let the publisher write."""
        for message_id in message_ids:
            self.say(message_id)
        await passes()

    async def stored(self, sent: Sent, offset: int) -> None:
        """Say that the brokers have a batch, and let the publisher tell of it."""
        sent.written(offset)
        await passes()

    def consumes(
        self,
        partition: int,
        offset: int,
        *,
        id: str,  # noqa: A002 - the contract's word
        ce_type: bytes = MessageSent.ce_type.encode(),
    ) -> None:
        """Read a record of ours, or of somebody else, in the log."""
        headers = [("ce_type", ce_type), ("ce_id", f"{UP}/{id}".encode())]
        value = message_value(id=id, group="g", up=UP, message="hello", sent_at=5)
        record = ConsumerRecord(
            "chat.messages", partition, offset, 77, 1, b"g", value, None, 1, len(value), headers
        )
        self.delivery.consumed(partition, [record])

    @property
    def outcomes(self) -> list[int | str]:
        """The seq of each message, or the code of its refusal, in the order in which they were told."""
        return [one.refusal.code if isinstance(one, Refused) else one.seq for one in self.told]


def test_a_messages_value_is_what_its_model_would_write() -> None:
    for text in ("plain", 'quote " and \\', "é\n\t\x00\x7f", "😀" * 100):
        sent = MessageSent(id="m1", group="g", up=UP, message=text, sent_at=7)
        made = message_value(id="m1", group="g", up=UP, message=text, sent_at=7)
        assert MessageSent.read_value(made) == sent
        assert orjson.loads(made) == orjson.loads(sent.value())


def acks_timed() -> float:
    return REGISTRY.get_sample_value("chat_edge_ack_seconds_count") or 0.0


async def test_senders_are_told_when_their_messages_turn_has_come_in_log_order() -> None:
    edge, messages_in, acks_before = Edge(), counting(metrics.MESSAGES_IN), acks_timed()
    await edge.says("a", "b")
    assert (edge.told, edge.publisher.written) == ([], 0)
    assert REGISTRY.get_sample_value("chat_edge_pending_sends") == 2
    edge.producer.sent[0].written(0, timestamp=77)
    await passes()
    assert (edge.outcomes, edge.publisher.written) == ([0, 1], 2)
    assert (messages_in(), acks_timed() - acks_before) == (2, 2)
    assert REGISTRY.get_sample_value("chat_edge_pending_sends") == 0
    entry = edge.told[0]
    assert isinstance(entry, Entry)
    assert entry.timestamp == 77
    assert entry.frame is not None
    assert b'"message":"hello","timestamp":77,"sentAt":5' in entry.frame


async def test_members_here_and_on_other_edges_see_the_same_message() -> None:
    edge = Edge()
    sent = SendMessage(message="olá", up=UP, room="g", timestamp=5, id="a")
    assert sent.model_fields_set == SendMessage.model_fields.keys(), "give it the new field, too"
    edge.publisher.publish("a", sent, edge.told.append)
    await passes()
    (written,) = edge.producer.sent
    written.written(0, timestamp=77)
    await passes()
    (here,) = edge.told
    assert isinstance(here, Entry)
    there = Entry("g", here.key, here.partition, 0, 77, value=written.values[0])
    assert here.frame == there.frame


async def test_a_retry_is_written_once_and_both_are_told_the_same() -> None:
    edge = Edge()
    await edge.says("a", "a")
    edge.say("a")
    await edge.stored(edge.producer.sent[0], 0)
    await edge.says("a")
    assert edge.outcomes == [0, 0, 0, 0]
    assert [len(sent.values) for sent in edge.producer.sent] == [1]
    duplicates = counting(metrics.DUPLICATES)
    edge.consumes(edge.producer.sent[0].partition, 1, id="a")
    assert duplicates() == 1


async def test_what_could_not_be_written_is_unavailable_and_may_be_sent_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    edge = Edge()
    await edge.says("a")
    edge.producer.sent[0].answer.set_exception(OSError("gone"))
    await passes()
    await edge.says("a")
    await edge.stored(edge.producer.sent[1], 0)
    assert edge.outcomes == ["unavailable", 0]
    said = [one.message for one in caplog.records if one.levelno == logging.ERROR]
    assert said == ["messages could not be written"]


async def test_past_the_bound_messages_are_refused_at_once() -> None:
    edge = Edge(max_pending_sends=2)
    edge.say("a")
    edge.say("b")
    with pytest.raises(Refused, match="overloaded"):
        edge.say("c")
    await passes()
    await edge.stored(edge.producer.sent[0], 0)
    edge.say("d")


async def test_who_waits_for_too_long_is_refused_while_the_message_stays_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publish, "CHECK_EVERY_S", 0.001)
    edge = Edge(send_timeout_ms=100, refuse_when_waiting_ms=100)
    async with in_background(edge.publisher.refuse_overdue()):
        edge.say("a")
        await eventually("the refusal", lambda: edge.outcomes == ["unavailable"])
        with pytest.raises(Refused, match="unavailable"):
            edge.say("b")
        edge.say("a")
        edge.producer.sent[0].written(0)
        await passes()
        assert edge.outcomes == ["unavailable", 0]
        assert [len(sent.values) for sent in edge.producer.sent] == [1]
        edge.say("c")


async def test_a_partition_that_does_not_answer_holds_up_its_own_groups_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publish, "CHECK_EVERY_S", 0.001)
    edge = Edge(send_timeout_ms=100, refuse_when_waiting_ms=100)
    async with in_background(edge.publisher.refuse_overdue()):
        edge.say("a", room="another")
        edge.say("b")
        await passes()
        older, newer = edge.producer.sent
        assert older.partition != newer.partition
        newer.written(0)
        await eventually("the refusal", lambda: edge.outcomes == [0, "unavailable"])
        with pytest.raises(Refused, match="unavailable"):
            edge.say("c", room="another")
        edge.say("d")
        await passes()
        edge.producer.sent[-1].written(1)
        await passes()
        assert edge.outcomes == [0, "unavailable", 1]


async def test_where_the_brokers_no_longer_know_the_offset_reading_the_log_tells_it() -> None:
    edge = Edge()
    await edge.says("a", "b")
    (sent,) = edge.producer.sent
    await edge.stored(sent, UNKNOWN)
    assert edge.outcomes == []
    edge.consumes(sent.partition, 6, id="a")
    edge.consumes(sent.partition, 7, id="b")
    assert edge.outcomes == [6, 7]


async def test_what_the_brokers_have_lost_is_refused_and_named_and_may_be_sent_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    edge = Edge()
    await edge.says("a")
    (sent,) = edge.producer.sent
    await edge.stored(sent, 1)
    edge.consumes(sent.partition, 2, id="another")
    assert edge.outcomes == ["unavailable"]
    (line,) = [one for one in caplog.records if one.levelno == logging.CRITICAL]
    lost = {"partition": sent.partition, "records": 1, "first_offset": 1, "last_offset": 1}
    assert line.facts == lost  # type: ignore[attr-defined]
    await edge.says("a")
    await edge.stored(edge.producer.sent[-1], 3)
    assert edge.outcomes == ["unavailable", 3]


async def test_what_is_acked_where_other_records_were_read_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """An edge that was frozen reads what a new leader has put there before it hears the old one's ack."""
    edge, lost = Edge(), counting(metrics.LOST_ACKED)
    await edge.says("a", "b")
    (sent,) = edge.producer.sent
    edge.consumes(sent.partition, 1, id="another")
    edge.consumes(sent.partition, 2, id="one more")
    await edge.stored(sent, 1)
    assert edge.outcomes == ["unavailable"] * 2
    assert caplog.messages == ["acked records are missing in the log"]
    assert lost() == 2
    await edge.says("a")
    await edge.stored(edge.producer.sent[-1], 3)
    assert edge.outcomes[2:] == [3]


async def test_what_cannot_be_read_under_a_messages_key_is_not_that_message() -> None:
    edge = Edge()
    await edge.says("a")
    (sent,) = edge.producer.sent
    edge.consumes(sent.partition, 0, id="a", ce_type=b"nonsense")
    edge.consumes(sent.partition, 1, id="b", ce_type=b"nonsense")
    assert edge.outcomes == []
    edge.say("b")
    await edge.stored(sent, 2)
    await edge.stored(edge.producer.sent[-1], 3)
    assert edge.outcomes == [2, 3]


async def test_draining_ends_when_nothing_is_pending_and_at_its_deadline_at_the_latest() -> None:
    edge = Edge()
    edge.say("a")
    draining = asyncio.create_task(edge.publisher.drain(3600))
    await passes()
    assert not draining.done()
    edge.producer.sent[0].written(0)
    await draining
    edge.say("b")
    await edge.publisher.drain(0.01)
    assert edge.outcomes == [0]
