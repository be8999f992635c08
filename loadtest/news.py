"""Messages between the starter and its processes of students: a `Job` in, `News` out. Pure.

Each is one line of JSON. Seconds are of the run's clock, which starts at 0 with the first student.
"""

from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field

from loadtest.scenario import Scenario

Buckets = list[tuple[int, int]]
"""Latencies as pairs of bucket and count (`loadtest.latency`)."""


class Job(BaseModel):
    """The job of a process: the first line of its stdin."""

    scenario: Scenario
    gateway: str
    run: str
    number: int
    of: int
    tokens_file: Path | None = None


class Second(BaseModel):
    """What happened in one second.

    ``other_…`` are the latencies of messages that were planned while nothing was measured.
    """

    at: int
    online: int = 0
    planned: int = 0
    acked: int = 0
    refused: int = 0
    repeated: int = 0
    received: int = 0
    deliver: Buckets = []
    ack: Buckets = []
    own: Buckets = []
    other_deliver: Buckets = []
    other_ack: Buckets = []
    late: Buckets = Field(default=[], description="How late we ourselves were with sending.")
    cpu_s: float = 0.0
    waits_for: str = Field(default="", description="What is waited for once nothing more is to be said.")


LATENCIES: Final = tuple(name for name, of in Second.model_fields.items() if of.annotation == Buckets)
COUNTS: Final = tuple(
    name for name in Second.model_fields if name not in {"at", "online", "waits_for", *LATENCIES}
)
"""Fields that only grow during a run: a `Second` has the growth in that second."""


class Verdict(BaseModel):
    """The last line of a process that has finished."""

    students: int
    said: int
    acked: int
    received: int
    refused: int
    absent: int = Field(default=0, description="Students whom no edge has ever let in.")
    holes: int
    not_understood: int = Field(default=0, description="Times that an edge sent what nobody understands.")
    connections: int
    missing: int
    doubled: int
    disordered: int
    altered: int
    leaked: int
    not_acked: int
    not_stored: int = 0
    stored_wrong: int = Field(default=0, description="Messages that differ in history from what was said.")
    history_checked: int
    unread: str = Field(default="", description="Why history could not be read, where it could not.")
    cpu_s: float


class News(BaseModel):
    """One line: exactly one of its parts is there."""

    ready: bool = False
    second: Second | None = None
    verdict: Verdict | None = None
    failed: str | None = None
