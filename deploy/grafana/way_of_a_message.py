"""The board for everybody: a row a step of a message's way."""

from typing import Final

from deploy.grafana.panels import PER_SECOND, SECONDS, Board, Panel, Row, per_s, spread
from deploy.grafana.shared_panels import (
    ASKED_FOR_HISTORY,
    BY_INSTANCE,
    DEAD_LETTERS,
    SENT,
    STORED,
    TIME_OF_HISTORY,
    UNSTORED,
)

LOCATION: Final = '{route="/chat/location"}'

WAY_OF_A_MESSAGE: Final = Board(
    "chat-way-of-a-message",
    "Way of a message",
    (
        Row(
            "0. What all steps need: services and brokers",
            (
                Panel(
                    "Ready",
                    "Instances that are ready for work. Fewer than run: /readyz of the others says why.",
                    {"{{job}}": "sum by (job) (chat_ready)"},
                ),
                Panel(
                    "Partitions that lack a replica",
                    "By topic. Above 0 for long: a broker is down, and another must not go.",
                    {"{{topic}}": "max by (topic) (chat_reader_under_replicated_partitions)"},
                ),
            ),
        ),
        Row(
            "1. Where to connect: client → gateway",
            (
                Panel(
                    "Locations by status",
                    "503: the table has no edge for them.",
                    {"{{status}}": per_s(f"chat_gateway_requests_total{LOCATION}", "status")},
                    PER_SECOND,
                ),
                Panel(
                    "Time of a location",
                    "Answered from memory.",
                    spread("chat_gateway_request_seconds", LOCATION),
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
                        "go: {{reason}}": per_s("chat_edge_disconnects_total", "reason") + " > 0",
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
                SENT,
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
                        "{{limit}}": per_s("chat_limit_hits_total", "limit") + " > 0 or vector(0)",
                        "slow clients": per_s("chat_edge_slow_client_closes_total"),
                    },
                    PER_SECOND,
                ),
            ),
        ),
        Row("5. Into the store: Kafka → persister → MongoDB", (STORED, UNSTORED, DEAD_LETTERS)),
        Row(
            "6. History: MongoDB → gateway → client",
            (
                ASKED_FOR_HISTORY,
                TIME_OF_HISTORY,
                Panel(
                    "Reads under way",
                    "At MAX_PENDING_READS further ones are refused.",
                    {BY_INSTANCE: "sum by (instance) (chat_gateway_pending_reads)"},
                ),
            ),
        ),
    ),
)
