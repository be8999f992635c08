"""Topics are kept as long as is said of them, and no longer."""

import pytest

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
