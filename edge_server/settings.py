"""Settings of the edge."""

from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from runtime.settings import (
    USUAL_PORT,
    Bytes,
    Count,
    KafkaSettings,
    Milliseconds,
    PerSecond,
    Seconds,
    SendSettings,
    ServiceSettings,
    TokenSettings,
    TracingSettings,
    WebSettings,
)
from schemas.ids import EdgeId

LONGEST_CONNECT_BYTES: Final = 98_304
"""A CONNECT with all cursors and the longest token that a client may send is shorter. Where it is refused,
its client can never come back."""

EVERY_ADDRESS: Final = ("", "*", "0.0.0.0", "::")  # noqa: S104 - nothing listens by it


class EdgeSettings(ServiceSettings, WebSettings, KafkaSettings, SendSettings, TokenSettings, TracingSettings):
    """The edge server: Socket.IO for clients, in front of Kafka."""

    edge_name: EdgeId = Field(
        default="edge-1", description="Name of this edge; it must stay the same across restarts."
    )
    edge_host: str = Field(
        default="127.0.0.1",
        description="Address on which client connections are accepted. Empty: all, of IPv4 and IPv6.",
    )
    edge_port: int = Field(default=5001, ge=0, le=65535, description="Port for client connections.")
    edge_url: str = Field(
        default="",
        max_length=500,
        description="URL at which clients reach this edge: http or https, without a path. Empty: "
        "http://host:port.",
    )
    edge_capacity: Count = Field(
        default=10_000, ge=1, description="Number of clients that this edge can hold."
    )
    ping_interval_s: Seconds = Field(default=25.0, ge=0.1, description="Seconds between pings to a client.")
    ping_timeout_s: Seconds = Field(
        default=20.0, ge=0.1, description="Seconds within which a pong must arrive."
    )
    max_frame_bytes: int = Field(
        default=2_097_152, le=2**30, description="Larger frames close the connection (code 1009)."
    )
    max_event_bytes: int = Field(
        default=131_072,
        ge=LONGEST_CONNECT_BYTES,
        le=2**30,
        description="Larger events are refused without being parsed. Not more than MAX_FRAME_BYTES.",
    )
    max_unfinished_bytes: Bytes = Field(
        default=67_108_864,
        ge=0,
        description="Bytes of unfinished messages, over all websockets. Above this, a connection whose "
        "unfinished message is longer than MAX_EVENT_BYTES is closed (code 1009).",
    )
    max_connections_per_user: Count = Field(
        default=20,
        ge=1,
        description="Maximum number of connections of one user; beyond this, the oldest is closed.",
    )
    max_pending_sends: Count = Field(
        default=20_000, ge=1, description="Maximum number of messages that wait for their ack."
    )
    max_pending_sends_per_client: Count = Field(
        default=200, ge=1, description="Maximum number of messages of one client that wait for their ack."
    )
    events_per_s_per_client: PerSecond = Field(
        default=200.0, description="Events per second that one connection may send."
    )
    events_burst_per_client: Count = Field(
        default=1_000,
        ge=1,
        description="Events that one connection may send at once. An event counts one more for each KiB, "
        "but never more than this. A connection that continues until as much again was "
        "refused is closed.",
    )
    messages_per_s_per_user: PerSecond = Field(
        default=200.0, description="Messages per second that one user may send, over all connections."
    )
    messages_burst_per_user: Count = Field(
        default=1_000,
        ge=1,
        description="Messages that one user may send at once. A message counts one more for each KiB, but "
        "never more than this.",
    )
    resumed_bytes_per_s_per_user: PerSecond = Field(
        default=1_048_576.0,
        description="Bytes of missed messages per second that one user is sent; the rest is in history.",
    )
    resumed_bytes_burst_per_user: Bytes = Field(
        default=16_777_216, ge=0, description="Bytes of missed messages that one user is sent at once."
    )
    connects_per_s: PerSecond = Field(
        default=1_000.0, description="Connections per second that may begin; further ones are told to wait."
    )
    connects_burst: Count = Field(
        default=5_000, ge=1, description="Connections that may begin at once after a quiet time."
    )
    connects_per_s_per_user: PerSecond = Field(
        default=2.0,
        description="Connects per second of one user, over all devices. Each counts 1, and 1 more for "
        "every 100 groups of the user.",
    )
    connects_burst_per_user: Count = Field(
        default=250,
        ge=1,
        description="Connects of one user at once, counted in the same way. It must allow for normal use: "
        "after a restart or a move all devices connect at once, and 20 devices of a user in "
        "1000 groups count 220.",
    )
    max_handshakes: Count = Field(default=2_000, ge=1, description="Maximum number of concurrent handshakes.")
    handshake_within_s: Seconds = Field(
        default=20.0, gt=0, description="Seconds within which a connection must have shown its token."
    )
    max_bodies: Count = Field(
        default=200,
        ge=1,
        description="Maximum number of bodies of polling clients that are read at the same time.",
    )
    max_buffered_bytes: Bytes = Field(
        default=1_048_576,
        ge=65_536,
        description="A client with more unread bytes than this, plus 192 for each group that it had at "
        "the connect, is closed. A client that has missed more than half of this is told to "
        "read history instead.",
    )
    max_queued_packets: Count = Field(
        default=5_000,
        ge=10,
        description="A polling client with more unread packets than this is closed.",
    )
    window_bytes: Bytes = Field(
        default=67_108_864,
        ge=0,
        description="Size in bytes of the recent log that is kept for resuming clients.",
    )
    window_records: Count = Field(
        default=200_000,
        ge=0,
        description="Number of records of the recent log that are kept for resuming clients.",
    )
    move_clients_per_s: PerSecond = Field(
        default=100.0,
        description="Clients per second that are told to move; more only if DRAIN_DEADLINE_S requires it.",
    )
    move_within_s: Seconds = Field(
        default=10.0, gt=0, description="Seconds after which a client that was told to move is closed."
    )
    drain_deadline_s: Seconds = Field(
        default=30.0,
        ge=0,
        description="Seconds that a stopping edge waits for its clients to move away. 0: it does not wait.",
    )
    shutdown_deadline_s: Seconds = Field(
        default=45.0,
        gt=0,
        description="Seconds that a clean stop may take, including the drain, before the process ends "
        "anyway.",
    )
    settle_on_stop_ms: Milliseconds = Field(
        default=3_000,
        ge=0,
        description="Milliseconds that a stopping edge waits for pending messages.",
    )

    @field_validator("edge_url")
    @classmethod
    def _leads_somewhere(cls, url: str) -> str:
        """Checked here: every client is told it, and would only fail to connect.

        Most clients take a path for the name of a namespace of Socket.IO, and an edge has only one.
        """
        parts = urlsplit(url)  # It raises ValueError itself where brackets or the port are wrong.
        is_web = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if url and (not is_web or parts.path not in ("", "/") or any(map(str.isspace, url))):
            raise ValueError("must be empty, or an http or https URL with a host and without a path")
        return url

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.edge_url and self.edge_host in EVERY_ADDRESS:
            raise ValueError(
                "EDGE_URL must be set if EDGE_HOST is every address: clients cannot connect to that"
            )
        if self.max_event_bytes > self.max_frame_bytes:
            raise ValueError("MAX_EVENT_BYTES must not be more than MAX_FRAME_BYTES")
        if self.drain_deadline_s + self.settle_on_stop_ms / 1000 >= self.shutdown_deadline_s:
            raise ValueError("SHUTDOWN_DEADLINE_S must be more than DRAIN_DEADLINE_S and SETTLE_ON_STOP_MS")
        if self.connects_burst_per_user < self.max_connections_per_user:
            raise ValueError("CONNECTS_BURST_PER_USER must not be less than MAX_CONNECTIONS_PER_USER")
        return self

    @property
    def kafka_client_id(self) -> str:
        """Each edge has its own: see `KafkaSettings`."""
        return f"edge_server.{self.edge_name}"

    @property
    def origins(self) -> frozenset[str]:
        """Those that are listed, and the edge's own: React Native and Swift send it with their websockets.

        Clients in JavaScript leave the usual port out of the URL that they were told, others do not.
        """
        own = {self.url_at(self.edge_port).removesuffix("/")}
        own |= {url.rpartition(":")[0] for url in own if USUAL_PORT.fullmatch(url)}
        return super().origins | own | {"ws" + url.removeprefix("http") for url in own}

    def url_at(self, port: int) -> str:
        """Return where clients reach an edge that listens on ``port``."""
        host = f"[{self.edge_host}]" if ":" in self.edge_host else self.edge_host
        return self.edge_url or f"http://{host}:{port}"
