"""The board of edges: who holds how many, how well, what it takes, and who is moved."""

from typing import Final

from deploy.grafana.panels import BYTES, PER_SECOND, SECONDS, Board, Panel, Row, per_s, share
from deploy.grafana.shared_panels import BY_INSTANCE

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
                    {BY_INSTANCE: "sum by (instance) (chat_edge_connections)"},
                ),
                Panel(
                    "Messages in",
                    "Of this edge's own clients.",
                    {BY_INSTANCE: per_s("chat_edge_messages_in_total", "instance")},
                    PER_SECOND,
                ),
                Panel(
                    "Deliveries",
                    "To this edge's own clients.",
                    {BY_INSTANCE: per_s("chat_edge_deliveries_total", "instance")},
                    PER_SECOND,
                ),
                Panel(
                    "Deliveries a write",
                    "Above 1 the edge is so busy that messages share writes.",
                    {
                        BY_INSTANCE: per_s("chat_edge_deliveries_total", "instance")
                        + " / "
                        + per_s("chat_edge_delivery_writes_total", "instance")
                    },
                ),
            ),
        ),
        Row(
            "How well",
            (
                Panel(
                    "Slowest acks (p99)",
                    "One edge high: that edge. All: Kafka.",
                    {BY_INSTANCE: share(0.99, "chat_edge_ack_seconds", "instance")},
                    SECONDS,
                ),
                Panel(
                    "Oldest deliveries (p99)",
                    "One edge high: it reads too slowly.",
                    {BY_INSTANCE: share(0.99, "chat_edge_bus_lag_seconds", "instance")},
                    SECONDS,
                ),
                Panel(
                    "Loop lag (p99)",
                    "How late the event loop is: short of CPU above 50 ms.",
                    {BY_INSTANCE: share(0.99, "chat_loop_lag_seconds", "instance", '{job="edge_server"}')},
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
                    {BY_INSTANCE: per_s('process_cpu_seconds_total{job="edge_server"}', "instance")},
                ),
                Panel(
                    "Memory",
                    "Resident.",
                    {BY_INSTANCE: 'process_resident_memory_bytes{job="edge_server"}'},
                    BYTES,
                ),
                Panel(
                    "The window for resuming",
                    "At most WINDOW_BYTES and WINDOW_RECORDS.",
                    {BY_INSTANCE: "sum by (instance) (chat_edge_window_bytes)"},
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
                        BY_INSTANCE: "sum by (instance) "
                        '(chat_reader_lag_records{job="edge_server", topic="chat.messages"})'
                    },
                ),
                Panel(
                    "Messages that wait for the broker",
                    "At MAX_PENDING_SENDS further ones are refused.",
                    {BY_INSTANCE: "sum by (instance) (chat_edge_pending_sends)"},
                ),
                Panel(
                    "Files and sockets open",
                    "Against the limit of the process.",
                    {BY_INSTANCE: 'process_open_fds{job="edge_server"}'},
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
                    {BY_INSTANCE: "sum by (instance) (chat_edge_moves_waiting)"},
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
