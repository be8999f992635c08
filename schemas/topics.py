"""The topics: their names, how long they keep what, and whether their number of partitions may vary.

A topic whose offsets mean something in the store gets more partitions only as a new topic, of the next
generation. Code names topics as they are named here; Kafka, the store and its progress know generations.
"""

from dataclasses import dataclass
from typing import Final

MESSAGES: Final = "chat.messages"
GROUPS: Final = "chat.groups"
MEMBERSHIPS: Final = "chat.memberships"
USERS: Final = "chat.users"
EDGE_STATUS: Final = "edge.status"
ASSIGNMENTS: Final = "dispatch.assignments"
DEAD_LETTERS: Final = "chat.dead-letters"

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

MAX_RECORD_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Topic:
    """How a topic is created. ``single`` topics have one partition, the others the deployment's number.

    One that ``grows`` may have more: nobody goes by the order of its records.
    """

    name: str
    config: dict[str, str]
    single: bool = False
    grows: bool = False

    def partitions(self, deployment: int) -> int:
        """Return the number of partitions this topic has where the deployment's number is given."""
        return 1 if self.single else deployment


def _kept(for_ms: int) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(for_ms),
        "message.timestamp.type": "LogAppendTime",
    }


_COMPACTED: Final = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}

_COMPACTED_HOURLY: Final = {**_COMPACTED, "segment.ms": str(HOUR_MS)}
"""Only closed segments are compacted, and whoever starts reads the whole topic: tables are many and large."""

ALL: Final[dict[str, Topic]] = {
    topic.name: topic
    for topic in (
        Topic(MESSAGES, _kept(7 * DAY_MS)),
        Topic(GROUPS, _COMPACTED),
        Topic(MEMBERSHIPS, _COMPACTED),
        Topic(USERS, _COMPACTED),
        Topic(EDGE_STATUS, _kept(HOUR_MS), single=True),
        Topic(ASSIGNMENTS, _COMPACTED_HOURLY, single=True),
        Topic(DEAD_LETTERS, _kept(30 * DAY_MS), grows=True),
    )
}

OF_GENERATIONS: Final = (MESSAGES, GROUPS, MEMBERSHIPS, USERS)
"""Topics that are made anew when the number of partitions grows."""


def in_generation(name: str, generation: int) -> str:
    """Return what Kafka calls a topic in a generation, which counts from 1: ``chat.messages.2``."""
    return f"{name}.{generation}" if generation > 1 and name in OF_GENERATIONS else name


def of_any_generation(name: str) -> str:
    """Return what a topic is called here, by Kafka's name of it in any generation."""
    here, _, generation = name.rpartition(".")
    return here if generation.isdigit() and here in OF_GENERATIONS else name
