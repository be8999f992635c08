"""The topics: their names, how long they keep what, and whether their number of partitions may vary.

A topic whose offsets mean something in the store gets more partitions only as a new topic, of the next
generation. Code names topics as they are named here; Kafka, the store and its progress know generations.
"""

from collections.abc import Mapping
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

    def misfit(self, found: Mapping[str, str]) -> str | None:
        """Return what of a topic's configuration its readers cannot live with; None where they can.

        How long it is kept is the operators' choice, as long as what is kept is of the same kind.
        """
        for name in ("cleanup.policy", "message.timestamp.type"):
            if found.get(name, self.config[name]) != self.config[name]:
                return f"{name}={found[name]}, not {self.config[name]}"
        longest = found.get("max.message.bytes", str(LEAST_MAX_BYTES))
        if int(longest) < LEAST_MAX_BYTES and longest != SEAL["max.message.bytes"]:
            return f"max.message.bytes={longest}, not {LEAST_MAX_BYTES} or more"
        return None


LEAST_MAX_BYTES: Final = 1_000_000
"""No dead letter is longer, and no batch of ours. With less, what fits while little is said is refused under
load, and a dead letter that is refused holds its partition up for good."""

_EVERY: Final = {"message.timestamp.type": "LogAppendTime", "compression.type": "uncompressed"}


def _kept(for_ms: int) -> dict[str, str]:
    # Kafka drops only closed segments, and by itself closes one after a week: so much longer all would stay.
    closed_after_ms = min(for_ms, DAY_MS)
    return {
        **_EVERY,
        "cleanup.policy": "delete",
        "retention.ms": str(for_ms),
        "segment.ms": str(closed_after_ms),
    }


_COMPACTED: Final = {**_EVERY, "cleanup.policy": "compact", "max.compaction.lag.ms": str(DAY_MS)}
"""Without a bound Kafka compacts a partition when half of it is new: until then, which may be for months,
what was replaced stays, a student's erased name as well. It closes segments as early, too."""

_ENDS_KEPT: Final = {"delete.retention.ms": str(7 * DAY_MS)}
"""For how long a tombstone can be read. Whoever is away for longer goes on believing what it ended: so for as
long as messages are kept, by which readers and backups may be late."""

_CLOSED_HOURLY: Final = {"segment.ms": str(HOUR_MS)}
"""Whoever starts reads all tables of segments that are not closed: they are many and large."""

ALL: Final[dict[str, Topic]] = {
    topic.name: topic
    for topic in (
        Topic(MESSAGES, _kept(7 * DAY_MS)),
        Topic(GROUPS, _COMPACTED),
        Topic(MEMBERSHIPS, {**_COMPACTED, **_ENDS_KEPT}),
        Topic(USERS, _COMPACTED),
        Topic(EDGE_STATUS, _kept(HOUR_MS), single=True),
        Topic(ASSIGNMENTS, {**_COMPACTED, **_CLOSED_HOURLY}, single=True),
        Topic(DEAD_LETTERS, _kept(30 * DAY_MS), grows=True),
    )
}

OF_GENERATIONS: Final = (MESSAGES, GROUPS, MEMBERSHIPS, USERS)
"""Topics that are made anew when the number of partitions grows."""

SEAL: Final = {"max.message.bytes": "0"}
"""Configures a topic to take no record any more: whoever still writes is refused."""


def in_generation(name: str, generation: int) -> str:
    """Return what Kafka calls a topic in a generation, which counts from 1: ``chat.messages.2``."""
    return f"{name}.{generation}" if generation > 1 and name in OF_GENERATIONS else name


def of_any_generation(name: str) -> str:
    """Return what a topic is called here, by Kafka's name of it in any generation."""
    here, _, generation = name.rpartition(".")
    return here if generation.isdigit() and here in OF_GENERATIONS else name
