"""Settings of the gateway."""

from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, model_validator

from runtime.settings import (
    EMPTY_IS_UNSET,
    Bytes,
    Count,
    KafkaSettings,
    Milliseconds,
    MongoSettings,
    PerSecond,
    Seconds,
    SendSettings,
    ServiceSettings,
    TokenSettings,
    TracingSettings,
    WebSettings,
)

FINISH_SHARE: Final = 0.6
"""How much of a stop's deadline the requests under way may take: the producer has yet to be stopped after
them."""


class GatewaySettings(
    ServiceSettings, WebSettings, KafkaSettings, SendSettings, MongoSettings, TokenSettings, TracingSettings
):
    """The gateway: REST for clients and for the solution, in front of Kafka and MongoDB."""

    gateway_host: str = Field(default="127.0.0.1", description="Where the public API listens.")
    public_port: int = Field(default=8000, ge=0, le=65535, description="Port of the public API.")
    internal_host: str = Field(
        default="127.0.0.1", description="Where the solution-internal API listens; never public."
    )
    internal_port: int = Field(default=3000, ge=0, le=65535, description="Port of the solution-internal API.")
    service_token: Annotated[Annotated[SecretStr, Field(min_length=16)] | None, EMPTY_IS_UNSET] = Field(
        default=None,
        description="What callers of the internal API must show; without it that API is off.",
    )
    max_body_bytes: Bytes = Field(
        default=131_072,
        ge=32_768,
        description="Larger request bodies are refused without being parsed.",
    )
    max_bodies_bytes: Bytes = Field(
        default=33_554_432,
        ge=1_048_576,
        description="Bytes of request bodies that may be on their way; past that they are refused unread.",
    )
    max_unread_bytes: Bytes = Field(
        default=67_108_864,
        ge=33_554_432,
        description="Bytes of large answers that clients have yet to read; past that they are refused.",
    )
    answer_within_s: Seconds = Field(
        default=30.0, gt=0, description="Seconds in which a client must have read a large answer."
    )
    requests_per_s_per_user: PerSecond = Field(
        default=100.0, description="Requests to the public API that one user may make in a second."
    )
    requests_burst_per_user: Count = Field(
        default=500, ge=1, description="Requests to the public API that one user may make at once."
    )
    max_reads_per_user: Count = Field(
        default=8, ge=1, description="Reads of history and names that one user may have under way at once."
    )
    bundle_within_s: Seconds = Field(
        default=30.0,
        gt=0,
        description="Seconds that a page of each of a user's groups may take, its wait for a turn included.",
    )
    new_members_per_s_per_user: PerSecond = Field(
        default=20.0,
        description="Members that one user may add to groups in a second; removing who is none counts, too.",
    )
    new_members_burst_per_user: Count = Field(
        default=10_000,
        ge=1,
        description="Members that one user may add at once; past that they wait until it is made up for.",
    )
    max_groups_per_user: Count = Field(
        default=1_000,
        ge=1,
        description="Groups of one user; past that only the internal API adds them to another.",
    )
    known_tokens: Count = Field(default=20_000, ge=1, description="Verified tokens that are remembered.")
    known_token_s: Seconds = Field(
        default=60.0, gt=0, description="Seconds after which a remembered token is verified again."
    )
    max_pending_writes: Count = Field(
        default=10_000, ge=1, description="Records that may wait for their ack at the same time."
    )
    wait_stored_ms: Milliseconds = Field(
        default=5_000,
        ge=0,
        description="Milliseconds that a write waits until MongoDB shows it, before it answers 202.",
    )
    max_waiting_writes: Count = Field(
        default=2_000, ge=1, description="Writes that may wait for MongoDB; others answer 202."
    )
    read_timeout_ms: Milliseconds = Field(
        default=4_000, ge=100, description="Milliseconds after which a read has failed."
    )
    max_pending_reads: Count = Field(
        default=256, ge=1, description="Reads of MongoDB that may be under way at the same time."
    )

    @property
    def finish_within_s(self) -> float:
        """Seconds of a stop that the requests under way may take."""
        return FINISH_SHARE * self.shutdown_deadline_s

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """A stop must not cut off a write that may still be acknowledged: nobody would know of it.

        A new group is up to three writes, one after the other. Those after the first may be cut off: a retry
        makes it whole.
        """
        if self.send_timeout_ms / 1000 >= self.finish_within_s:
            raise ValueError(f"SEND_TIMEOUT_MS must be less than {FINISH_SHARE:.0%} of SHUTDOWN_DEADLINE_S")
        return self
