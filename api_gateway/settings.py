"""Settings of the gateway."""

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from runtime.settings import (
    EMPTY_IS_UNSET,
    BearerToken,
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
"""Share of the shutdown deadline that requests under way may take: the producer is stopped after them."""


class GatewaySettings(
    ServiceSettings, WebSettings, KafkaSettings, SendSettings, MongoSettings, TokenSettings, TracingSettings
):
    """The gateway: REST for clients and for the solution, in front of Kafka and MongoDB."""

    gateway_host: str = Field(
        default="127.0.0.1",
        description="Address on which the public API is served. Empty: all, of IPv4 and IPv6.",
    )
    public_port: int = Field(default=8000, ge=0, le=65535, description="Port of the public API.")
    internal_host: str = Field(
        default="127.0.0.1",
        description="Address on which the internal API is served; it must never be public. Empty: all, "
        "of IPv4 and IPv6.",
    )
    internal_port: int = Field(default=3000, ge=0, le=65535, description="Port of the internal API.")
    service_token: Annotated[BearerToken | None, EMPTY_IS_UNSET] = Field(
        default=None,
        description="Token that callers of the internal API must show; without it, that API is off.",
    )
    max_body_bytes: Bytes = Field(
        default=131_072,
        ge=32_768,
        description="Larger request bodies are refused without being parsed.",
    )
    max_bodies_bytes: Bytes = Field(
        default=33_554_432,
        ge=1_048_576,
        description="Bytes of request bodies in transit; beyond this, bodies are refused unread.",
    )
    max_unread_bytes: Bytes = Field(
        default=67_108_864,
        ge=67_108_864,
        description="Bytes of large answers that clients have not read yet; beyond this, large answers "
        "are refused.",
    )
    answer_within_s: Seconds = Field(
        default=30.0, gt=0, description="Seconds within which a client must have read a large answer."
    )
    requests_per_s_per_user: PerSecond = Field(
        default=100.0, description="Requests per second that one user may make to the public API."
    )
    requests_burst_per_user: Count = Field(
        default=500, ge=1, description="Requests that one user may make to the public API at once."
    )
    max_reads_per_user: Count = Field(
        default=8, ge=1, description="Maximum number of concurrent reads of history and names by one user."
    )
    bundle_within_s: Seconds = Field(
        default=30.0,
        gt=0,
        description="Seconds that a bundle (a page of each of a user's groups) may take, including the "
        "wait for its turn.",
    )
    new_members_per_s_per_user: PerSecond = Field(
        default=20.0,
        description="Members per second that one user may add to groups. Removing somebody who is not a "
        "member counts, too.",
    )
    new_members_burst_per_user: Count = Field(
        default=10_000,
        ge=1,
        description="Members that one user may add at once; after that, the user has to wait until the "
        "excess is made up for.",
    )
    max_groups_per_user: Count = Field(
        default=1_000,
        ge=1,
        description="Groups that one user may be in; beyond this, only the internal API adds them to "
        "another one.",
    )
    known_tokens: Count = Field(
        default=20_000, ge=1, description="Number of verified tokens that are remembered."
    )
    known_token_s: Seconds = Field(
        default=60.0, gt=0, description="Seconds after which a remembered token is verified again."
    )
    max_pending_writes: Count = Field(
        default=10_000, ge=1, description="Maximum number of records that wait for their ack."
    )
    wait_stored_ms: Milliseconds = Field(
        default=5_000,
        ge=0,
        description="Milliseconds that a write waits until MongoDB has it before the answer is 202.",
    )
    max_waiting_writes: Count = Field(
        default=2_000,
        ge=1,
        description="Maximum number of writes that wait for MongoDB; further ones answer 202 at once.",
    )
    read_timeout_ms: Milliseconds = Field(
        default=4_000, ge=100, description="Milliseconds after which a read counts as failed."
    )
    max_pending_reads: Count = Field(
        default=256, ge=1, description="Maximum number of concurrent reads of MongoDB."
    )

    @property
    def kafka_client_id(self) -> str:
        """See `KafkaSettings`."""
        return "api_gateway"

    @property
    def finish_within_s(self) -> float:
        """Seconds of a stop that the requests under way may take."""
        return FINISH_SHARE * self.shutdown_deadline_s

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Raise ValueError if one body could keep all others out, or if a stop could cut off a write that
        Kafka may still ack.

        A new group is up to three writes in a row. Those after the first may be cut off: a retry completes
        the group.
        """
        if self.max_body_bytes > self.max_bodies_bytes / 2:
            raise ValueError("MAX_BODY_BYTES must not be more than half of MAX_BODIES_BYTES")
        if self.send_timeout_ms / 1000 >= self.finish_within_s:
            raise ValueError(f"SEND_TIMEOUT_MS must be less than {FINISH_SHARE:.0%} of SHUTDOWN_DEADLINE_S")
        return self
