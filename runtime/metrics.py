"""Every metric of the system, one row each: unit, labels, and what to do when it rises.

No label holds a user, a group or anything else that grows with the university.
"""

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

# --- every service ---
TASK_RESTARTS = Counter(
    "chat_task_restarts_total",
    "Background tasks that died. Read error.log for the exception.",
    ["task"],
)
LOOP_LAG = Histogram(
    "chat_loop_lag_seconds",
    "How late the event loop runs its timers. Rising: the process is short of CPU; add instances.",
    buckets=LATENCY_BUCKETS,
)
READER_REBUILDS = Counter(
    "chat_reader_rebuilds_total",
    "Log readers made anew. Rising: Kafka is unreachable or a reader stalled; look at the brokers.",
    ["topic"],
)
READER_LAG = Gauge(
    "chat_reader_lag_records", "Records that a reader has yet to read.", ["topic", "partition"]
)
BAD_RECORDS = Counter(
    "chat_bad_records_total",
    "Records that a reader could not take. Rising: look at the dead letters for the reason.",
    ["topic"],
)
REFUSALS = Counter(
    "chat_refusals_total", "Requests and events that were refused, by code of the table.", ["code"]
)

# --- edge server ---
CONNECTIONS = Gauge("chat_edge_connections", "Clients that are connected, by transport.", ["transport"])
CONNECTS = Counter("chat_edge_connects_total", "Clients whose handshake succeeded.")
DISCONNECTS = Counter("chat_edge_disconnects_total", "Clients that went, by reason.", ["reason"])
MESSAGES_IN = Counter("chat_edge_messages_in_total", "Messages that clients sent and the log took.")
DELIVERIES = Counter("chat_edge_deliveries_total", "Messages written to one client each.")
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
PENDING_SENDS = Gauge("chat_edge_pending_sends", "Messages that wait for the broker's ack.")
RECOVERIES = Counter(
    "chat_edge_recoveries_total",
    "Rooms resumed, by outcome. 'hole' rising: the window is too small for how long clients stay away.",
    ["outcome"],
)
RECOVERED_MESSAGES = Counter("chat_edge_recovered_messages_total", "Missed messages that were sent again.")
SLOW_CLIENTS = Counter("chat_edge_slow_client_closes_total", "Clients closed because they read too slowly.")
WINDOW_BYTES = Gauge("chat_edge_window_bytes", "Size of the recent log that is kept for resuming.")
LOST_ACKED = Counter(
    "chat_edge_acked_but_missing_total",
    "Acked records that the log then lacked. Must stay 0: a broker lost data (unclean election?).",
)

# --- persister ---
STORED = Counter("chat_persister_stored_total", "Records written to the store.", ["topic"])
ALREADY_STORED = Counter(
    "chat_persister_already_stored_total",
    "Records that the store had already: retries and replays.",
)
BATCH_RECORDS = Histogram("chat_persister_batch_records", "Records a batch.", buckets=SIZE_BUCKETS)
WRITE_SECONDS = Histogram(
    "chat_persister_write_seconds",
    "Time of one batch's write. Rising: look at the store.",
    buckets=LATENCY_BUCKETS,
)
STORE_RETRIES = Counter(
    "chat_persister_store_retries_total",
    "Writes tried again because the store was away or failing.",
)
STORE_LAG = Gauge("chat_persister_lag_records", "Records that are not stored yet.", ["topic", "partition"])
UNSTORED_AGE_SECONDS = Gauge(
    "chat_persister_unstored_age_seconds",
    "Age of the oldest record that is read and not stored. Rising: the store is away or too slow.",
)
NEVER_STORED = Counter(
    "chat_persister_never_stored_total",
    "Records that the log dropped before they were stored. Must stay 0: the persister was away for too long.",
    ["topic"],
)
DEAD_LETTERS = Counter(
    "chat_dead_letters_total",
    "Records set aside, with their reason in chat.dead-letters.",
    ["topic"],
)

# --- api gateway ---
HTTP_SECONDS = Histogram(
    "chat_gateway_request_seconds",
    "Time of a request, by API and route.",
    ["api", "route"],
    buckets=LATENCY_BUCKETS,
)
HTTP_REQUESTS = Counter("chat_gateway_requests_total", "Requests answered.", ["api", "route", "status"])
PENDING_READS = Gauge("chat_gateway_pending_reads", "Reads of the store that are under way.")
PENDING_WRITES = Gauge("chat_gateway_pending_writes", "Records that wait for the broker's ack.")
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
PRODUCER_REBUILDS = Counter(
    "chat_gateway_producer_rebuilds_total",
    "Producers that failed for good and were replaced. Rising: look at the brokers' logs.",
)
TABLE_VERSION = Gauge("chat_table_version", "Version of the assignment table that is in use here.")
TABLE_EPOCH = Gauge("chat_table_epoch", "Epoch of the assignment table that is in use here.")

# --- dispatcher ---
LEADING = Gauge("chat_dispatcher_leading", "1 on the dispatcher that leads. The sum must be 1.")
EDGES = Gauge("chat_dispatcher_edges", "Edges by state.", ["state"])
MOVED_SHARDS = Counter(
    "chat_dispatcher_moved_shards_total", "Shards given to another edge, by reason.", ["reason"]
)
TABLES_PUBLISHED = Counter("chat_dispatcher_tables_published_total", "Tables written to the log.")
