"""Topics are kept as long as is said of them, and no longer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import topics

KAFKA_CLOSES_AFTER_MS = 7 * topics.DAY_MS
"""Kafka's own ``segment.ms``."""


def of_kind(policy: str) -> list[topics.Topic]:
    return [topic for topic in topics.ALL.values() if topic.config["cleanup.policy"] == policy]


def name_of(topic: topics.Topic) -> str:
    return topic.name


@pytest.mark.parametrize("topic", of_kind("delete"), ids=name_of)
def test_what_is_kept_for_a_while_is_not_kept_for_much_longer(topic: topics.Topic) -> None:
    """Kafka drops only closed segments: what is written all the time stays until its segment is closed."""
    closes_after_ms = int(topic.config.get("segment.ms", KAFKA_CLOSES_AFTER_MS))
    assert closes_after_ms <= min(topics.DAY_MS, int(topic.config["retention.ms"]))


@pytest.mark.parametrize("topic", of_kind("compact"), ids=name_of)
def test_what_was_replaced_goes_also_where_little_is_said(topic: topics.Topic) -> None:
    """By itself Kafka waits until half of a partition is new, and erased names would stay for months."""
    assert int(topic.config.get("max.compaction.lag.ms", 2**63 - 1)) <= topics.DAY_MS


def test_whoever_comes_back_while_the_log_has_the_messages_reads_who_has_left_meanwhile() -> None:
    """Kafka drops a tombstone after a day by itself."""
    readable_ms = int(topics.ALL[topics.MEMBERSHIPS].config.get("delete.retention.ms", topics.DAY_MS))
    assert readable_ms >= int(topics.ALL[topics.MESSAGES].config["retention.ms"])


@given(replicas=st.integers(1, 9), wanted=st.integers(1, 9), in_sync=st.none() | st.integers(1, 9))
def test_a_topic_is_durable_if_an_acked_record_outlives_as_many_brokers_as_is_wanted(
    replicas: int, wanted: int, in_sync: int | None
) -> None:
    found = {} if in_sync is None else {"min.insync.replicas": str(in_sync)}
    too_few_ack = wanted >= 3 and in_sync is not None and in_sync < 2
    assert bool(topics.not_durable(found, replicas, wanted)) == (replicas < wanted or too_few_ack)


@given(replicas=st.integers(1, 9))
def test_a_topic_as_it_is_made_is_durable(replicas: int) -> None:
    assert topics.not_durable(topics.in_sync(replicas), replicas, replicas) is None
