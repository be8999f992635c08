"""Panels and parts of expressions that stand on more than one board."""

from typing import Final

from deploy.grafana.panels import PER_SECOND, SECONDS, Panel, per_s, spread

HISTORY: Final = '{route=~"/chat/message|/chat/{group}/message"}'
BY_INSTANCE: Final = "{{instance}}"

SENT: Final = Panel(
    "Messages in",
    "Sent by clients and taken by the log.",
    {"messages": per_s("chat_edge_messages_in_total")},
    PER_SECOND,
)
STORED: Final = Panel(
    "Stored",
    "Records written to MongoDB.",
    {"{{topic}}": per_s("chat_persister_stored_total", "topic")},
    PER_SECOND,
)
UNSTORED: Final = Panel(
    "Age of what is not stored",
    "Rises while MongoDB is away; ChatHistoryBehind fires at a minute.",
    {"oldest": "max(chat_persister_unstored_age_seconds)"},
    SECONDS,
)
DEAD_LETTERS: Final = Panel(
    "Set aside",
    "Records that could not be taken stand in chat.dead-letters with the reason. Should be 0.",
    {"{{topic}}": "sum by (topic) (increase(chat_dead_letters_total[1h]))"},
)
ASKED_FOR_HISTORY: Final = Panel(
    "Reads of history by status",
    "503: MongoDB is away, or there are more reads than allowed.",
    {"{{status}}": per_s(f"chat_gateway_requests_total{HISTORY}", "status")},
    PER_SECOND,
)
TIME_OF_HISTORY: Final = Panel(
    "Time of a page of history",
    "Mostly MongoDB's.",
    spread("chat_gateway_request_seconds", HISTORY),
    SECONDS,
)
