"""What the dispatcher can be told."""

from socket import gethostname
from typing import Final

from pydantic import Field

from runtime.settings import (
    MIN_SESSION_TIMEOUT_MS,
    BearerToken,
    KafkaSettings,
    Seconds,
    ServiceSettings,
)

MAX_SESSION_TIMEOUT_MS: Final = 1_800_000
"""Kafka's own bound: ``group.max.session.timeout.ms``."""


class DispatcherSettings(ServiceSettings, KafkaSettings):
    """Keeps the table of edges. Run two or more: one leads, the others take over when it is gone."""

    dispatcher_token: BearerToken = Field(
        description="Bearer token of operators on the ops port (the table, drains); at least 16 characters.",
    )
    dispatcher_name: str = Field(
        default="",
        max_length=200,
        description="Name by which operators find this dispatcher. Empty: the host's name and the ops port.",
    )
    dispatcher_group: str = Field(
        default="dispatcher",
        min_length=1,
        max_length=200,
        description="Consumer group in which the dispatchers elect their leader, and the transactional id "
        "with which a new leader fences the old one.",
    )
    dispatcher_session_timeout_ms: int = Field(
        default=6_000,
        ge=MIN_SESSION_TIMEOUT_MS,
        le=MAX_SESSION_TIMEOUT_MS,
        description="Milliseconds after which a silent leader is replaced; brokers accept 6000 or more.",
    )
    edge_grace_s: Seconds = Field(
        default=5.0,
        ge=0,
        description="Additional seconds that edges get to report after Kafka was away.",
    )
    edge_rest_s: Seconds = Field(
        default=10.0,
        ge=0,
        description="Seconds after a move in which its edges take part in no other move that can wait.",
    )

    @property
    def kafka_client_id(self) -> str:
        """See `KafkaSettings`."""
        return "dispatcher"

    @property
    def name(self) -> str:
        """Return the name under which tables are published."""
        return self.dispatcher_name or f"{gethostname()}:{self.ops_port}"
