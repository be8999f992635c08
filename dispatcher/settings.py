"""What the dispatcher can be told."""

from socket import gethostname

from pydantic import Field, SecretStr

from runtime.settings import (
    MAX_SESSION_TIMEOUT_MS,
    MIN_SESSION_TIMEOUT_MS,
    KafkaSettings,
    Seconds,
    ServiceSettings,
)


class DispatcherSettings(ServiceSettings, KafkaSettings):
    """Keeps the table of edges. Run two or more: one leads, the others take over when it is gone."""

    dispatcher_token: SecretStr = Field(
        min_length=16,
        description="Operators' bearer token on the ops port: the table, drains; 16 characters or more.",
    )
    dispatcher_name: str = Field(
        default="",
        max_length=200,
        description="By which name operators find this one; empty: the host's name and the ops port.",
    )
    dispatcher_group: str = Field(
        default="dispatcher",
        min_length=1,
        description="Consumer group in which the dispatchers choose who leads, and the transactional id by "
        "which a new leader fences the old.",
    )
    dispatcher_session_timeout_ms: int = Field(
        default=6_000,
        ge=MIN_SESSION_TIMEOUT_MS,
        le=MAX_SESSION_TIMEOUT_MS,
        description="Milliseconds after which a silent leader is replaced; brokers take 6000 or more.",
    )
    edge_grace_s: Seconds = Field(
        default=5.0,
        ge=0,
        description="Seconds more that edges get to be heard after Kafka was away.",
    )
    edge_rest_s: Seconds = Field(
        default=10.0,
        ge=0,
        description="Seconds after a move in which its edges take part in no other that can wait.",
    )

    @property
    def name(self) -> str:
        """Return the name under which tables are published."""
        return self.dispatcher_name or f"{gethostname()}:{self.ops_port}"
