"""Settings of the persister."""

from typing import Final

from pydantic import Field

from runtime.settings import (
    MIN_SESSION_TIMEOUT_MS,
    KafkaSettings,
    MongoSettings,
    ServiceSettings,
    TracingSettings,
)

MAX_SESSION_TIMEOUT_MS: Final = 45_000
"""Less than a reader waits for its group (`POLL_HANGS_AFTER_S` in group_reader.py). The group waits so long
for a dead member: a new one that gave up before would be waited for itself, and so on, again and again."""


class PersisterSettings(ServiceSettings, KafkaSettings, MongoSettings, TracingSettings):
    """The persister: from the log into MongoDB. Several share the partitions as one consumer group."""

    persister_group: str = Field(
        default="persister", min_length=1, max_length=200, description="Name of the consumer group."
    )
    session_timeout_ms: int = Field(
        default=10_000,
        ge=MIN_SESSION_TIMEOUT_MS,
        le=MAX_SESSION_TIMEOUT_MS,
        description="Milliseconds of silence after which the group gives a persister's partitions to "
        "others; brokers accept 6000 or more.",
    )
    flush_after_records: int = Field(
        default=500, ge=1, le=10_000, description="A batch with this many records, or with 1 MiB, is written."
    )
    flush_after_ms: int = Field(
        default=10,
        ge=0,
        le=10_000,
        description="A batch of this age is written; while the store is busy, the next one keeps filling.",
    )

    @property
    def kafka_client_id(self) -> str:
        """See `KafkaSettings`."""
        return "persister"
