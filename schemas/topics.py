"""The topics: their names, retention, and whether their number of partitions may grow in place.

A topic whose offsets are kept in the store gets more partitions only as a new topic, of the next generation.
Code uses the names here; Kafka, the store and its progress use those of the generation.
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

    One that ``grows`` may have more: the order of its records does not matter.
    """

    name: str
    config: dict[str, str]
    single: bool = False
    grows: bool = False

    def partitions(self, deployment: int) -> int:
        """Return this topic's number of partitions, given the deployment's number."""
        return 1 if self.single else deployment

    def misfit(self, found: Mapping[str, str]) -> str | None:
        """Return the part of a topic's config that readers cannot work with; None if there is none.

        Operators may choose the retention, but not the cleanup policy.
        """
        for name in ("cleanup.policy", "message.timestamp.type"):
            if found.get(name, self.config[name]) != self.config[name]:
                return f"{name}={found[name]}, not {self.config[name]}"
        longest = found.get("max.message.bytes", str(LEAST_MAX_BYTES))
        if int(longest) < LEAST_MAX_BYTES and longest != SEAL["max.message.bytes"]:
            return f"max.message.bytes={longest}, not {LEAST_MAX_BYTES} or more"
        return None


def in_sync(replicas: int) -> dict[str, str]:
    """Return the config of a topic with so many replicas by which an acked record outlives any one broker."""
    return {"min.insync.replicas": "2"} if replicas >= 3 else {}


def not_durable(found: Mapping[str, str], replicas: int, wanted: int) -> str | None:
    """Return why a topic's acked records are less safe than with ``wanted`` replicas; None if they are not.

    ``found`` is its config, and ``replicas`` is what its partitions have. Readers can work with it: it is no
    reason not to start.
    """
    if replicas < wanted:
        return f"{replicas} replicas, not {wanted}"
    for name, least in in_sync(wanted).items():
        if int(found.get(name, least)) < int(least):
            return f"{name}={found[name]}, not {least} or more"
    return None


LEAST_MAX_BYTES: Final = 1_000_000
"""No dead letter and no batch of ours is longer. A lower limit would refuse batches only under load, and a
refused dead letter blocks its partition for good."""

_COMMON: Final = {"message.timestamp.type": "LogAppendTime", "compression.type": "uncompressed"}


def _deleted_after(for_ms: int) -> dict[str, str]:
    # Kafka drops only closed segments, and by default closes one after a week: records would stay longer.
    closed_after_ms = min(for_ms, DAY_MS)
    return {
        **_COMMON,
        "cleanup.policy": "delete",
        "retention.ms": str(for_ms),
        "segment.ms": str(closed_after_ms),
    }


_COMPACTED: Final = {**_COMMON, "cleanup.policy": "compact", "max.compaction.lag.ms": str(DAY_MS)}
"""Without a bound on the lag, Kafka compacts a partition when half of it is new. Until then, perhaps for
months, replaced records stay, such as a student's erased name. The bound also closes segments as early."""

_ENDS_KEPT: Final = {"delete.retention.ms": str(7 * DAY_MS)}
"""For how long a tombstone can be read: as long as messages. A reader or a backup that is older than that
would never learn that the membership has ended."""

_CLOSED_HOURLY: Final = {"segment.ms": str(HOUR_MS)}
"""A starting service reads all tables in segments that are not closed yet: they are many and large."""

ALL: Final[dict[str, Topic]] = {
    topic.name: topic
    for topic in (
        Topic(MESSAGES, _deleted_after(7 * DAY_MS)),
        Topic(GROUPS, _COMPACTED),
        Topic(MEMBERSHIPS, {**_COMPACTED, **_ENDS_KEPT}),
        Topic(USERS, _COMPACTED),
        Topic(EDGE_STATUS, _deleted_after(HOUR_MS), single=True),
        Topic(ASSIGNMENTS, {**_COMPACTED, **_CLOSED_HOURLY}, single=True),
        Topic(DEAD_LETTERS, _deleted_after(30 * DAY_MS), grows=True),
    )
}

OF_GENERATIONS: Final = (MESSAGES, GROUPS, MEMBERSHIPS, USERS)
"""Topics that are created again when the number of partitions grows."""

SEAL: Final = {"max.message.bytes": "0"}
"""The config of a topic that accepts no more records: writers are refused."""


def in_generation(name: str, generation: int) -> str:
    """Return Kafka's name of a topic in a generation, counted from 1: ``chat.messages.2``."""
    return f"{name}.{generation}" if generation > 1 and name in OF_GENERATIONS else name


def of_any_generation(name: str) -> str:
    """Return a topic's name here, given Kafka's name of it in any generation."""
    base, _, generation = name.rpartition(".")
    return base if generation.isdigit() and base in OF_GENERATIONS else name
