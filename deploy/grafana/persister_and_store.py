"""The board of the persister: from the log into MongoDB, and read back."""

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

PERSISTER_AND_STORE: Final = Board(
    "chat-persister-and-store",
    "Persister and store",
    (
        Row("From the log into MongoDB", (SENT, STORED, UNSTORED)),
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
                DEAD_LETTERS,
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
                    {BY_INSTANCE: per_s('process_cpu_seconds_total{job="persister"}', "instance")},
                ),
            ),
        ),
        Row(
            "Read back",
            (
                ASKED_FOR_HISTORY,
                TIME_OF_HISTORY,
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
