"""Topics are kept as long as is said of them."""

import pytest

from schemas import topics

KAFKA_CLOSES_AFTER_MS = 7 * topics.DAY_MS
"""Kafka's own ``segment.ms``."""


@pytest.mark.parametrize("topic", topics.ALL.values(), ids=lambda topic: topic.name)
def test_what_is_kept_for_a_while_is_not_kept_for_much_longer(topic: topics.Topic) -> None:
    """Kafka drops only closed segments: what is written all the time stays until its segment is closed."""
    if topic.config["cleanup.policy"] == "delete":
        closes_after_ms = int(topic.config.get("segment.ms", KAFKA_CLOSES_AFTER_MS))
        assert closes_after_ms <= int(topic.config["retention.ms"])
