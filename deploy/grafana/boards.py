"""What is on the dashboards, as data: boards of rows of panels of lines. Pure.

`dashboards.py` makes Grafana's JSON of it, `pictures.py` draws the same queries without Grafana.
"""

from dataclasses import dataclass
from typing import Final

SECONDS: Final = "s"
PER_SECOND: Final = "ops"
BYTES: Final = "bytes"
NUMBER: Final = "short"

RATE_OVER: Final = "$__rate_interval"
"""Grafana puts in here the time over which a rate is taken; whoever asks Prometheus itself must do so."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot. ``lines`` maps a legend (in Grafana's format: ``{{label}}``) to its expression."""

    title: str
    about: str
    lines: dict[str, str]
    unit: str = NUMBER


@dataclass(frozen=True, slots=True)
class Row:
    """Panels beside each other, under a title."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. ``uid`` is its name in addresses, for ever."""

    uid: str
    title: str
    rows: tuple[Row, ...]


def per_s(counter: str, by: str = "") -> str:
    """Return how often a counter counts in a second, over all instances."""
    return f"sum by ({by}) (rate({counter}[{RATE_OVER}]))"


def share(q: float, histogram: str, by: str = "", where: str = "") -> str:
    """Return what the share ``q`` of what a histogram took stays below."""
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({grouped}) (rate({histogram}_bucket{where}[{RATE_OVER}])))"


def spread(histogram: str, where: str = "") -> dict[str, str]:
    """Return the two lines that tell most of a histogram: its median, and the slowest in a hundred."""
    return {
        "p50": share(0.5, histogram, where=where),
        "p99": share(0.99, histogram, where=where),
    }


_LOCATION: Final = '{route="/chat/location"}'
_HISTORY: Final = '{route=~"/chat/message|/chat/{group}/message"}'
_BY_INSTANCE: Final = "{{instance}}"

_SENT: Final = Panel(
    "Messages in",
    "Sent by clients and taken by the log.",
    {"messages": per_s("chat_edge_messages_in_total")},
    PER_SECOND,
)
_STORED: Final = Panel(
    "Stored",
    "Records written to MongoDB.",
    {"{{topic}}": per_s("chat_persister_stored_total", "topic")},
    PER_SECOND,
)
_UNSTORED: Final = Panel(
    "Age of what is not stored",
    "Rises while MongoDB is away; ChatHistoryBehind fires at a minute.",
    {"oldest": "max(chat_persister_unstored_age_seconds)"},
    SECONDS,
)
_DEAD_LETTERS: Final = Panel(
    "Set aside",
    "Records that could not be taken stand in chat.dead-letters with the reason. Should be 0.",
    {"{{topic}}": "sum by (topic) (increase(chat_dead_letters_total[1h]))"},
)
_ASKED_FOR_HISTORY: Final = Panel(
    "Reads of history by status",
    "503: MongoDB is away, or there are more reads than allowed.",
    {"{{status}}": per_s(f"chat_gateway_requests_total{_HISTORY}", "status")},
    PER_SECOND,
)
_TIME_OF_HISTORY: Final = Panel(
    "Time of a page of history",
    "Mostly MongoDB's.",
    spread("chat_gateway_request_seconds", _HISTORY),
    SECONDS,
)

WAY_OF_A_MESSAGE: Final = Board(
    "chat-way-of-a-message",
    "Way of a message",
    (
        Row(
            "1. Where to connect: client → gateway",
            (
                Panel(
                    "Locations by status",
                    "503: the table has no edge for them.",
                    {"{{status}}": per_s(f"chat_gateway_requests_total{_LOCATION}", "status")},
                    PER_SECOND,
                ),
                Panel(
                    "Time of a location",
                    "Answered from memory.",
                    spread("chat_gateway_request_seconds", _LOCATION),
                    SECONDS,
                ),
                Panel(
                    "Edges by state",
                    "What the leading dispatcher knows.",
                    {"{{state}}": "max by (state) (chat_dispatcher_edges)"},
                ),
            ),
        ),
        Row(
            "2. Connected: client ↔ edge",
            (
                Panel(
                    "Connections",
                    "Clients of all edges, by transport.",
                    {"{{transport}}": "sum by (transport) (chat_edge_connections)"},
                ),
                Panel(
                    "Coming and going",
                    "Many at once: an edge went, or is drained.",
                    {
                        "come": per_s("chat_edge_connects_total"),
                        "go: {{reason}}": per_s("chat_edge_disconnects_total", "reason"),
                    },
                    PER_SECOND,
                ),
                Panel(
                    "Rooms resumed",
                    "'hole': away for longer than the window reaches; the client reads history.",
                    {"{{outcome}}": per_s("chat_edge_recoveries_total", "outcome")},
                    PER_SECOND,
                ),
            ),
        ),
        Row(
            "3. Into the log: edge → Kafka → ack",
            (
                _SENT,
                Panel(
                    "Time to the durable ack",
                    "From receiving a message until every in-sync replica has it.",
                    spread("chat_edge_ack_seconds"),
                    SECONDS,
                ),
                Panel(
                    "Refused",
                    "By code. 'unavailable': Kafka. 'overloaded': us. Most others: the client's own doing.",
                    {
                        "{{code}}": f"{per_s('chat_refusals_total', 'code')} > 0 or "
                        + per_s('chat_refusals_total{code="unavailable"}', "code")
                    },
                    PER_SECOND,
                ),
            ),
        ),
        Row(
            "4. To the members: Kafka → every edge → clients",
            (
                Panel(
                    "Deliveries",
                    "A message to one client each.",
                    {"deliveries": per_s("chat_edge_deliveries_total")},
                    PER_SECOND,
                ),
                Panel(
                    "Age of a message when delivered",
                    "By the broker's clock, on edges that consume it.",
                    spread("chat_edge_bus_lag_seconds"),
                    SECONDS,
                ),
                Panel(
                    "Limits hit",
                    "By limit. Rising: somebody floods, or a limit is too small.",
                    {
                        "{{limit}}": per_s("chat_limit_hits_total", "limit") + " or vector(0)",
                        "slow clients": per_s("chat_edge_slow_client_closes_total"),
                    },
                    PER_SECOND,
                ),
            ),
        ),
        Row("5. Into the store: Kafka → persister → MongoDB", (_STORED, _UNSTORED, _DEAD_LETTERS)),
        Row(
            "6. History: MongoDB → gateway → client",
            (
                _ASKED_FOR_HISTORY,
                _TIME_OF_HISTORY,
                Panel(
                    "Reads under way",
                    "At MAX_PENDING_READS further ones are refused.",
                    {_BY_INSTANCE: "sum by (instance) (chat_gateway_pending_reads)"},
                ),
            ),
        ),
    ),
)

EDGES: Final = Board(
    "chat-edges",
    "Edges",
    (
        Row(
            "Work by edge",
            (
                Panel(
                    "Connections",
                    "Against EDGE_CAPACITY.",
                    {_BY_INSTANCE: "sum by (instance) (chat_edge_connections)"},
                ),
                Panel(
                    "Messages in",
                    "Of this edge's own clients.",
                    {_BY_INSTANCE: per_s("chat_edge_messages_in_total", "instance")},
                    PER_SECOND,
                ),
                Panel(
                    "Deliveries",
                    "To this edge's own clients.",
                    {_BY_INSTANCE: per_s("chat_edge_deliveries_total", "instance")},
                    PER_SECOND,
                ),
            ),
        ),
        Row(
            "How well",
            (
                Panel(
                    "Slowest acks (p99)",
                    "One edge high: that edge. All: Kafka.",
                    {_BY_INSTANCE: share(0.99, "chat_edge_ack_seconds", "instance")},
                    SECONDS,
                ),
                Panel(
                    "Oldest deliveries (p99)",
                    "One edge high: it reads too slowly.",
                    {_BY_INSTANCE: share(0.99, "chat_edge_bus_lag_seconds", "instance")},
                    SECONDS,
                ),
                Panel(
                    "Loop lag (p99)",
                    "How late the event loop is: short of CPU above 50 ms.",
                    {_BY_INSTANCE: share(0.99, "chat_loop_lag_seconds", "instance", '{job="edge_server"}')},
                    SECONDS,
                ),
            ),
        ),
        Row(
            "What it takes",
            (
                Panel(
                    "CPU",
                    "Cores. An edge can use one.",
                    {_BY_INSTANCE: per_s('process_cpu_seconds_total{job="edge_server"}', "instance")},
                ),
                Panel(
                    "Memory",
                    "Resident.",
                    {_BY_INSTANCE: 'process_resident_memory_bytes{job="edge_server"}'},
                    BYTES,
                ),
                Panel(
                    "The window for resuming",
                    "At most WINDOW_BYTES and WINDOW_RECORDS.",
                    {_BY_INSTANCE: "sum by (instance) (chat_edge_window_bytes)"},
                    BYTES,
                ),
            ),
        ),
        Row(
            "Queues",
            (
                Panel(
                    "Records to read",
                    "Of chat.messages, looked at every 10 s.",
                    {
                        _BY_INSTANCE: "sum by (instance) "
                        '(chat_reader_lag_records{job="edge_server", topic="chat.messages"})'
                    },
                ),
                Panel(
                    "Messages that wait for the broker",
                    "At MAX_PENDING_SENDS further ones are refused.",
                    {_BY_INSTANCE: "sum by (instance) (chat_edge_pending_sends)"},
                ),
                Panel(
                    "Files and sockets open",
                    "Against the limit of the process.",
                    {_BY_INSTANCE: 'process_open_fds{job="edge_server"}'},
                ),
            ),
        ),
        Row(
            "Moves of clients",
            (
                Panel(
                    "Told to move",
                    "Paced by MOVE_CLIENTS_PER_S.",
                    {
                        "told": per_s("chat_edge_moves_told_total"),
                        "gone": per_s("chat_edge_moved_clients_total"),
                    },
                    PER_SECOND,
                ),
                Panel(
                    "Yet to be told",
                    "By edge; falls while a drain goes on.",
                    {_BY_INSTANCE: "sum by (instance) (chat_edge_moves_waiting)"},
                ),
                Panel(
                    "Closed because they stayed",
                    "Clients that do not understand 'move'.",
                    {"clients": per_s("chat_edge_moves_forced_total")},
                    PER_SECOND,
                ),
            ),
        ),
        Row(
            "Who holds whom",
            (
                Panel(
                    "Edges wanted, and those that serve",
                    "More wanted for long: ChatEdgesMissing.",
                    {
                        "wanted": "max(chat_dispatcher_edges_wanted)",
                        "serve": 'max(chat_dispatcher_edges{state="serving"})',
                    },
                ),
                Panel(
                    "Shards moved",
                    "By reason, in the last hour.",
                    {"{{reason}}": "sum by (reason) (increase(chat_dispatcher_moved_shards_total[1h]))"},
                ),
                Panel(
                    "Dispatchers that lead",
                    "Must be 1.",
                    {"leaders": "sum(chat_dispatcher_leading)"},
                ),
            ),
        ),
    ),
)

PERSISTER_AND_STORE: Final = Board(
    "chat-persister-and-store",
    "Persister and store",
    (
        Row("From the log into MongoDB", (_SENT, _STORED, _UNSTORED)),
        Row(
            "Batches",
            (
                Panel(
                    "Records a batch",
                    "At FLUSH_AFTER_RECORDS all the time: the store is the limit.",
                    spread("chat_persister_batch_records"),
                ),
                Panel("Time of a write", "Of one batch.", spread("chat_persister_write_seconds"), SECONDS),
                Panel(
                    "Writes tried again",
                    "Above 0: the store is away or refuses.",
                    {"tries": per_s("chat_persister_store_retries_total")},
                    PER_SECOND,
                ),
            ),
        ),
        Row(
            "What is left to do, and what was left out",
            (
                Panel(
                    "Records not stored",
                    "By topic; the partitions summed.",
                    {"{{topic}}": "sum by (topic) (chat_persister_lag_records)"},
                ),
                Panel(
                    "The fullest partition",
                    "One far above the others: one busy group.",
                    {
                        "{{topic}}/{{partition}}": "topk(3, max by (topic, partition) "
                        "(chat_persister_lag_records))"
                    },
                ),
                _DEAD_LETTERS,
            ),
        ),
        Row(
            "Twice or never",
            (
                Panel(
                    "Stored already",
                    "Retries, and what is read again after a restart.",
                    {"records": per_s("chat_persister_already_stored_total")},
                    PER_SECOND,
                ),
                Panel(
                    "Never stored",
                    "The log dropped them first. Must be 0.",
                    {"{{topic}}": "sum by (topic) (increase(chat_persister_never_stored_total[1h]))"},
                ),
                Panel(
                    "CPU of persisters",
                    "Cores. A persister can use one.",
                    {_BY_INSTANCE: per_s('process_cpu_seconds_total{job="persister"}', "instance")},
                ),
            ),
        ),
        Row(
            "Read back",
            (
                _ASKED_FOR_HISTORY,
                _TIME_OF_HISTORY,
                Panel(
                    "Writes by whether they were stored in time",
                    "Of the internal API. 'no': the persister is behind.",
                    {"{{stored}}": per_s("chat_gateway_writes_answered_total", "stored")},
                    PER_SECOND,
                ),
            ),
        ),
    ),
)

ALL: Final = (WAY_OF_A_MESSAGE, EDGES, PERSISTER_AND_STORE)
