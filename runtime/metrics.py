"""Every metric of the system, one row each: unit, labels, and what to do when it rises.

No label holds a user, a group or anything else that grows with the university. The rows are also a page for
operators, ``docs/operating/metrics.md``, made by ``python -m deploy.metrics_page``.
"""

import math
from collections.abc import Iterator
from typing import Final

from prometheus_client import (
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from schemas import refusals, topics

disable_created_metrics()  # type: ignore[no-untyped-call]

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

# --- every service ---
READY = Gauge(
    "chat_ready",
    "1 if the instance is ready for work (as /readyz says), else 0. 0 for long: /readyz says why.",
)
TASK_RESTARTS = Counter(
    "chat_task_restarts_total",
    "Background tasks that died and were restarted. Rising: read error.log for the exception.",
    ["task"],
)
LOOP_LAG = Histogram(
    "chat_loop_lag_seconds",
    "How late the event loop runs its timers. Rising: the process is short of CPU; add instances.",
    buckets=LATENCY_BUCKETS,
)
READER_REBUILDS = Counter(
    "chat_reader_rebuilds_total",
    "Log readers that were rebuilt. Rising: Kafka is unreachable or a reader stalled; look at the brokers.",
    ["topic"],
)
READER_LAG = Gauge(
    "chat_reader_lag_records",
    "Records that a reader has yet to read. Rising: the process is short of CPU, or stuck on one partition.",
    ["topic", "partition"],
)
READER_SILENT = Gauge(
    "chat_reader_silent_seconds",
    "Time since all partitions of a topic last told their end offsets; they are asked every ten seconds. "
    "Rising: no broker answers, or this instance cannot reach one that others may reach.",
    ["topic"],
)
UNDER_REPLICATED = Gauge(
    "chat_reader_under_replicated_partitions",
    "Partitions of a topic that lack an in-sync replica, as brokers last told this instance. Above 0 for "
    "minutes: a broker is down or does not keep up; if another one goes, sends are refused.",
    ["topic"],
)
BAD_RECORDS = Counter(
    "chat_bad_records_total",
    "Records that a reader could not read. Rising: look at the dead letters for the reason; records of "
    "edge.status and dispatch.assignments never get there: look at the reader's log.",
    ["topic"],
)
SPANS = Counter(
    "chat_spans_total",
    "Spans of traces, by outcome. 'ended' above 'exported' for long: the collector is away or too slow.",
    ["outcome"],
)
PRODUCER_REBUILDS = Counter(
    "chat_producer_rebuilds_total",
    "Producers that failed for good and were replaced. Rising: look at the brokers' logs.",
)
REFUSALS = Counter(
    "chat_refusals_total",
    "Requests and events that were refused, by code; connects beyond the capacity count as limit hits "
    "instead, and presence that cannot be written as its failures. 'unavailable' and 'overloaded' rising: "
    "people feel it.",
    ["code"],
)
LIMIT_HITS = Counter(
    "chat_limit_hits_total",
    "Requests refused and connections closed because a limit was reached, by limit. Rising: somebody floods, "
    "or the limit is too small for normal use; docs/security.md lists the limits.",
    ["limit"],
)
TOKEN_KEYS_AGE_SECONDS = Gauge(
    "chat_token_keys_age_seconds",
    "Age of the token keys read from TOKEN_JWKS; 0 without it. Above 600: the keys cannot be read, and "
    "tokens signed by a new key are refused.",
)
KAFKA_CERTIFICATE_EXPIRES = Gauge(
    "chat_kafka_certificate_expires_timestamp_seconds",
    "When the certificate in KAFKA_CERT_FILE expires, since 1970; 0 if it cannot be read, NaN without one. "
    "Soon: renew it, otherwise new connections to brokers will be refused.",
)
KAFKA_CERTIFICATE_EXPIRES.set(math.nan)
DEAD_LETTERS = Counter(
    "chat_dead_letters_total",
    "Records set aside in chat.dead-letters, with the reason. Rising: read them; bad records are written.",
    ["topic"],
)
TABLE_VERSION = Gauge(
    "chat_table_version",
    "Version of the assignment table that is in use here. 0: none. After a moment it is the same everywhere.",
)
TABLE_EPOCH = Gauge(
    "chat_table_epoch",
    "Epoch of the assignment table that is in use here. Rising: another dispatcher leads; if often, see why.",
)
TABLE_PUBLISHED = Gauge(
    "chat_table_published_timestamp_seconds",
    "When the table in use was published, since 1970. Changing all the time: edges come and go; see why.",
)

# --- edge server ---
CONNECTIONS = Gauge("chat_edge_connections", "Clients that are connected, by transport.", ["transport"])
CONNECTS = Counter(
    "chat_edge_connects_total",
    "Clients whose handshake succeeded. Rising fast: many reconnect at once; look at the disconnects.",
)
DISCONNECTS = Counter(
    "chat_edge_disconnects_total",
    "Clients that disconnected, by reason. 'ping timeout' rising: the network, or an edge short of CPU. "
    "'cut off': the edge did not reach Kafka, see its /readyz.",
    ["reason"],
)
MESSAGES_IN = Counter("chat_edge_messages_in_total", "Messages that clients sent and the log accepted.")
PRESENCE_FAILURES = Counter(
    "chat_edge_presence_failures_total",
    "Failed writes of who is online; departures are tried again. Rising: Kafka is away, or "
    "edges may not write to chat.users.",
)
DELIVERIES = Counter("chat_edge_deliveries_total", "Messages written to one client each.")
DELIVERY_WRITES = Counter(
    "chat_edge_delivery_writes_total",
    "Writes of messages to one client. Fewer than deliveries: the edge is busy, and messages share them.",
)
DUPLICATES = Counter(
    "chat_edge_duplicate_messages_total",
    "Retries of a message that the log already had; not delivered.",
)
ACK_SECONDS = Histogram(
    "chat_edge_ack_seconds",
    "From receiving a message to its durable ack. Rising: look at the brokers' produce latency.",
    buckets=LATENCY_BUCKETS,
)
BUS_LAG_SECONDS = Histogram(
    "chat_edge_bus_lag_seconds",
    "Age of a record when it is delivered, by the broker's clock. Rising: the edge reads too slowly.",
    buckets=LATENCY_BUCKETS,
)
PENDING_SENDS = Gauge(
    "chat_edge_pending_sends",
    "Messages that wait for the broker's ack. Rising: the brokers answer slowly; soon sends are refused.",
)
RECOVERIES = Counter(
    "chat_edge_recoveries_total",
    "Rooms resumed, by outcome. 'hole' rising: clients stay away longer, or miss more, than an edge resumes.",
    ["outcome"],
)
RECOVERED_MESSAGES = Counter("chat_edge_recovered_messages_total", "Missed messages that were sent again.")
SLOW_CLIENTS = Counter(
    "chat_edge_slow_client_closes_total",
    "Clients closed because they read too slowly. Many at once: their network is slow, not they.",
)
WINDOW_BYTES = Gauge("chat_edge_window_bytes", "Size of the recent log that is kept for resuming.")
MOVES_TOLD = Counter("chat_edge_moves_told_total", "Clients that were told to connect to another edge.")
MOVED_CLIENTS = Counter(
    "chat_edge_moved_clients_total", "Clients that left after they had been told to move."
)
MOVES_FORCED = Counter(
    "chat_edge_moves_forced_total",
    "Clients closed because they stayed after they had been told to move. Rising: a client ignores 'move'.",
)
EDGE_SHARE = Gauge(
    "chat_edge_share_ratio",
    "Part of all UP numbers that the table in use gives this edge. Above 0 without connections: clients are "
    "sent there, and do not reach it.",
)
MOVES_WAITING = Gauge(
    "chat_edge_moves_waiting",
    "Clients that have yet to be told to move. Never falling: MOVE_CLIENTS_PER_S is too low.",
)
LOST_ACKED = Counter(
    "chat_edge_acked_but_missing_total",
    "Acked records that are missing in the log. Must stay 0: a broker lost data (unclean election?).",
)

# --- persister ---
STORED = Counter("chat_persister_stored_total", "Records written to the store.", ["topic"])
ALREADY_STORED = Counter(
    "chat_persister_already_stored_total",
    "Records that were in the store already: a client sent them again, or a persister read them again.",
)
BATCH_RECORDS = Histogram(
    "chat_persister_batch_records",
    "Records per batch. At its bound all the time: the store is the limit. If it has headroom, "
    "add persisters.",
    buckets=SIZE_BUCKETS,
)
WRITE_SECONDS = Histogram(
    "chat_persister_write_seconds",
    "Time of one batch's write. Rising: look at the store.",
    buckets=LATENCY_BUCKETS,
)
STORE_RETRIES = Counter(
    "chat_persister_store_retries_total",
    "Writes tried again because the store was away or failing. Rising: look at the store.",
)
STORE_LAG = Gauge(
    "chat_persister_lag_records",
    "Records that are not stored yet. Rising: add persisters (at most one a partition).",
    ["topic", "partition"],
)
UNSTORED_AGE_SECONDS = Gauge(
    "chat_persister_unstored_age_seconds",
    "Age of the oldest record that was read and is not stored; or for how long the store has been away, or "
    "the persister cut off from Kafka, if longer. Rising: one of these, or the store is too slow.",
)
NEVER_STORED = Counter(
    "chat_persister_never_stored_total",
    "Records that the log dropped before they were stored. Must stay 0: the persister was away for too long.",
    ["topic"],
)

# --- api gateway ---
HTTP_SECONDS = Histogram(
    "chat_gateway_request_seconds",
    "Time of a request, by API and route. History rising: look at the store; all rising: add gateways.",
    ["api", "route"],
    buckets=LATENCY_BUCKETS,
)
HTTP_REQUESTS = Counter(
    "chat_gateway_requests_total",
    "Requests answered. 499: the client left while its body or the store was being read.",
    ["api", "route", "status"],
)
PENDING_READS = Gauge(
    "chat_gateway_pending_reads",
    "Reads of the store in progress. At MAX_PENDING_READS more are refused: look at the store.",
)
PENDING_WRITES = Gauge(
    "chat_gateway_pending_writes",
    "Records that wait for the broker's ack. Rising: the brokers answer slowly.",
)
WRITE_ACK_SECONDS = Histogram(
    "chat_gateway_write_ack_seconds",
    "From a write to its durable ack. Rising: look at the brokers' produce latency.",
    buckets=LATENCY_BUCKETS,
)
WRITES_ANSWERED = Counter(
    "chat_gateway_writes_answered_total",
    "Durable writes, by whether the store had them in time. 'no' rising: look at the persister's lag.",
    ["stored"],
)
BEHIND_STORE_SECONDS = Gauge(
    "chat_gateway_behind_store_seconds",
    "For how long this gateway has been behind the store in what it knows of groups and members. Rising: it "
    "alone is cut off from Kafka, and not ready.",
)
TOPIC_MISCONFIGURED = Gauge(
    "chat_gateway_topic_misconfigured",
    "1 for a topic whose configuration no service would start on, as brokers last told this gateway; else 0. "
    "1: change it back; the log has what is wrong.",
    ["topic"],
)
TOPIC_NOT_DURABLE = Gauge(
    "chat_gateway_topic_not_durable",
    "1 for a topic with fewer replicas than KAFKA_REPLICATION_FACTOR, or with acks that too few of them "
    "give, as brokers last told this gateway; else 0. 1: acked messages may be lost with one broker.",
    ["topic"],
)

# --- dispatcher ---
LEADING = Gauge(
    "chat_dispatcher_leading",
    "1 on the dispatcher that leads and reads back what it writes. The sum must be 1.",
)
EDGES = Gauge(
    "chat_dispatcher_edges",
    "Edges by state, on the leader. 'dead' above 0: look at that edge; its clients are elsewhere already.",
    ["state"],
)
EDGE_NAMESAKES = Gauge(
    "chat_dispatcher_edge_namesakes",
    "Edge names used by two running processes, on the leader; one of the two is ignored. Above 0: rename or "
    "end it.",
)
MOVED_SHARDS = Counter(
    "chat_dispatcher_moved_shards_total",
    "Shards given to another edge, by reason. Rising without a change of load: edges flap; see their health.",
    ["reason"],
)
EDGES_WANTED = Gauge(
    "chat_dispatcher_edges_wanted",
    "Edges that should serve, on the leader; 0 elsewhere. More than those that do: start the missing ones.",
)
TABLES_PUBLISHED = Counter(
    "chat_dispatcher_tables_published_total",
    "Tables written to the log. Rising all the time: edges come and go; look at their health.",
)


LIMITS: Final = (
    "bodies",
    "bodies of a user",
    "bundles",
    "clients",
    "connections of a user",
    "connects",
    "connects of a user",
    "departures",
    "events",
    "frames",
    "groups of a user",
    "handshakes",
    "long frames",
    "long heads",
    "messages",
    "new members",
    "open connections",
    "polls of a session",
    "reads",
    "reads of a user",
    "repeated polls",
    "requests",
    "resting",
    "slow bodies",
    "slow bundles",
    "slow handshakes",
    "slow heads",
    "slow polls",
    "slow readers",
    "slow reads",
    "stalled connections",
    "unacked messages of a connection",
    "unfinished messages",
    "unfinished messages of an edge",
    "unread answers",
    "unread answers of a user",
    "upgrades of a session",
    "writes",
)
"""Every ``limit`` of `LIMIT_HITS`."""

DISCONNECT_REASONS: Final = (
    # As engine.io names them.
    "client disconnect",
    "ping timeout",
    "server disconnect",
    "transport close",
    "transport error",
    # Ours.
    "cut off",
    "expired_token",
    "moved",
    "rate_limited",
    "slow_client",
    "stopping",
    "too_many_connections",
)
"""Every ``reason`` of `DISCONNECTS`."""

_KNOWN_LABELS: Final = (
    (LIMIT_HITS, "limit", LIMITS),
    (DISCONNECTS, "reason", DISCONNECT_REASONS),
    (RECOVERIES, "outcome", ("recovered", "hole")),
    (BAD_RECORDS, "topic", topics.ALL.keys() - {topics.DEAD_LETTERS}),
    (REFUSALS, "code", refusals.TABLE),
    (DEAD_LETTERS, "topic", topics.OF_GENERATIONS),
    (STORED, "topic", topics.OF_GENERATIONS),
    (NEVER_STORED, "topic", topics.OF_GENERATIONS),
    (TOPIC_MISCONFIGURED, "topic", topics.ALL),
    (TOPIC_NOT_DURABLE, "topic", topics.ALL),
    (SPANS, "outcome", ("ended", "exported")),
    (WRITES_ANSWERED, "stored", ("yes", "no")),
    (MOVED_SHARDS, "reason", ("joined", "full", "emptied", "draining", "stopped", "dead")),
)


def _begin_at_zero() -> None:
    """What has yet to count is 0, not missing: otherwise its first event would not be a rise."""
    for metric, label, values in _KNOWN_LABELS:
        for value in values:
            metric.labels(**{label: value})


_begin_at_zero()

OF_ONE_SERVICE: Final = {
    "edge_server": "chat_edge_",
    "persister": "chat_persister_",
    "api_gateway": "chat_gateway_",
    "dispatcher": "chat_dispatcher_",
}
"""How the names of those metrics begin that only one service has."""


class OfService(Collector):
    """What one service shows: all metrics but those of other services, which would all be zero."""

    def __init__(self, service: str) -> None:
        self._others = tuple(prefix for name, prefix in OF_ONE_SERVICE.items() if name != service)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they stand now."""
        return (metric for metric in REGISTRY.collect() if not metric.name.startswith(self._others))


def exposition(service: str) -> bytes:
    """Return the service's metrics in Prometheus' text format."""
    return generate_latest(OfService(service))
