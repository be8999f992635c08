"""The records in Kafka: a model for each kind, and how it is written and read.

A record is a JSON object with headers in the binary form of CloudEvents. Readers ignore unknown fields, so
that old readers work with new writers. A record that cannot be read raises `BadRecord`.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from schemas.ids import EdgeId, GroupId, MessageId, ProcessId, new_id
from schemas.refusals import first_fault
from schemas.up_number import CIRCLE, UpNumber

Headers = Sequence[tuple[str, bytes | None]]
"""Names and values; Kafka knows headers without a value."""

MAX_TEXT_BYTES: Final = 16 * 1024
MAX_NAME_CHARS: Final = 200
MAX_SENT_AT_MS: Final = 2**53
"""Largest client timestamp: JavaScript and the store could not hold a larger one exactly."""

MAX_EXACT: Final = 2**53 - 1
"""Integers up to this are exact in a double, and so for every reader of JSON."""

MAX_SPREAD: Final = 32
"""Maximum number of points in ``spread``. Each stands for an equal share of the edge's clients."""

TRACEPARENT: Final = "traceparent"
"""W3C's header, only on traced records. No reader decides by it."""

_TYPE_PREFIX: Final = "pt.uni4all.chat."


class BadRecord(ValueError):
    """A record cannot be read; the text says why."""


class Record(BaseModel):
    """The base of all records: their CloudEvents type, and how they are encoded."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    ce_type: ClassVar[str]

    def value(self) -> bytes:
        """Return the record's value: UTF-8 JSON."""
        return self.model_dump_json(by_alias=True).encode()

    def event_id(self) -> str:
        """Return the CloudEvents id: unique for this event, the same for a retry of it."""
        return new_id()

    @classmethod
    def read(cls, headers: Headers, value: bytes | None) -> Self:
        """Return the record in these bytes.

        Raises `BadRecord` for a missing or wrong type, for bytes that are not JSON and for wrong fields.
        """
        found = header(headers, "ce_type")
        if found is None:
            raise BadRecord("no ce_type header")
        if found != cls.ce_type.encode():
            raise BadRecord(f"type is {found[:100]!r}, not {cls.ce_type}")
        return cls.read_value(value)

    @classmethod
    def read_value(cls, value: bytes | None) -> Self:
        """Return the record, without checking its type. Raises `BadRecord` as `read` does."""
        if value is None:
            raise BadRecord("no value")
        try:
            return cls.model_validate_json(value)
        except ValidationError as error:
            where, what = first_fault(error)
            raise BadRecord(f"{where or 'value'}: {what}") from error


class MessageSent(Record):
    """A chat message. Its offset is its ``seq``, the broker's append time its ``timestamp``.

    Of records with the same key and ``ce_id`` the first is the message, the others are retries of it, perhaps
    from another ``ce_source``. Under another key, the same ``ce_id`` is another message.
    """

    ce_type = _TYPE_PREFIX + "message.sent.v1"

    id: MessageId
    group: GroupId
    up: UpNumber
    message: str
    sent_at: int = Field(ge=0, le=MAX_SENT_AT_MS, description="The client's own clock, in ms since 1970.")

    def event_id(self) -> str:
        """Return sender and id. With the record's key it identifies retries without parsing JSON."""
        return f"{self.up}/{self.id}"

    @classmethod
    def read_value(cls, value: bytes | None) -> Self:
        """Return the message. Raises `BadRecord` also if the text is longer than a client may send."""
        sent = super().read_value(value)
        # JSON never makes a text shorter: a text can be too long only if the record is.
        if len(value or b"") > MAX_TEXT_BYTES and len(sent.message.encode()) > MAX_TEXT_BYTES:
            raise BadRecord(f"message: larger than {MAX_TEXT_BYTES} bytes")
        return sent

    @classmethod
    def read(cls, headers: Headers, value: bytes | None) -> Self:
        """Return the message. Raises `BadRecord` also if ``ce_id`` does not match: readers filter by it."""
        sent = super().read(headers, value)
        if header(headers, "ce_id") != sent.event_id().encode():
            raise BadRecord("ce_id does not name the message")
        return sent


class GroupCreated(Record):
    """A group and its name; a later record of the same group replaces the earlier one."""

    ce_type = _TYPE_PREFIX + "group.created.v1"

    group: GroupId
    name: str = Field(max_length=MAX_NAME_CHARS)
    created_by: UpNumber | None = Field(description="The student who may remove members; none for ours.")


class MemberJoined(Record):
    """A user is a member of a group. A tombstone under the same key says that they left."""

    ce_type = _TYPE_PREFIX + "member.joined.v1"

    group: GroupId
    up: UpNumber


class ProfileChanged(Record):
    """A user's names, under the key of the user."""

    ce_type = _TYPE_PREFIX + "profile.changed.v1"

    up: UpNumber
    username: str = Field(max_length=MAX_NAME_CHARS)
    name: str = Field(max_length=MAX_NAME_CHARS)


class PresenceChanged(Record):
    """Whether a user is online, under a key of its own: compaction must not drop the profile."""

    ce_type = _TYPE_PREFIX + "presence.changed.v1"

    up: UpNumber
    online: bool
    edge: EdgeId | None = Field(
        default=None,
        description="The edge that says so. That a user is offline counts only where this edge was also the "
        "last to say that they are online; none: it always counts.",
    )
    process: ProcessId | None = Field(
        default=None,
        description="The edge's process that says so, as its reports name it. Where the edge was killed and "
        "runs again, what its earlier process said counts no more. None: not known.",
    )


REPORT_EVERY_S: Final = 1.0
"""Interval of edges' reports. By it dispatchers detect dead edges, and balance load as often."""


class EdgeReported(Record):
    """An edge's report: how full it is and what it wants."""

    ce_type = _TYPE_PREFIX + "edge.reported.v1"

    edge: EdgeId
    url: str = Field(max_length=500)
    capacity: int = Field(gt=0, le=MAX_EXACT)
    connected: int = Field(ge=0, le=MAX_EXACT)
    state: Literal["serving", "draining", "stopped"]
    deaf: bool = Field(
        default=False,
        description="This edge has not been able to read a part of the log for long: clients are better off "
        "where it is read.",
    )
    messages_per_s: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Messages that its clients sent and the log took, lately.",
    )
    process: ProcessId | None = Field(
        default=None,
        description="One process of the edge, from its start on: a restart has another one. Where two report "
        "in turn, the dispatcher hears the one that came last. None: not known.",
    )
    spread: tuple[Annotated[int, Field(ge=0, lt=CIRCLE)], ...] | None = Field(
        default=None,
        max_length=MAX_SPREAD,
        description="Where all its clients stand on the circle, as `spread_of` says; none: not known.",
    )

    @field_validator("spread")
    @classmethod
    def _ascends(cls, spread: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if spread is not None and any(left > right for left, right in pairwise(spread)):
            raise ValueError("the points do not ascend")
        return spread


def spread_of(points: Iterable[int]) -> tuple[int, ...]:
    """Return the points of clients (see `point_of`; one per connection, any order) as a report carries them.

    If there are more than `MAX_SPREAD`, so many are sampled at equal ranks. Clients that have yet to move to
    another edge are included: the dispatcher needs them.
    """
    ascending = sorted(points)
    count, kept = len(ascending), min(len(ascending), MAX_SPREAD)
    return tuple(ascending[(2 * n + 1) * count // (2 * kept)] for n in range(kept))


class DrainAsked(Record):
    """An operator's request, among the edges' reports: an edge drains, or no longer does."""

    ce_type = _TYPE_PREFIX + "drain.asked.v1"

    edge: EdgeId
    drain: bool


class EdgesAsked(Record):
    """An operator's request, among the edges' reports: at least so many edges serve."""

    ce_type = _TYPE_PREFIX + "edges.asked.v1"

    edges: int = Field(ge=0, le=100_000)


class LeaderTicked(Record):
    """The leading dispatcher's mark among the edges' reports. Reading it back proves they get through."""

    ce_type = _TYPE_PREFIX + "leader.ticked.v1"

    leader: str = Field(max_length=64, description="One leader's one term.")
    number: int = Field(ge=0, le=MAX_EXACT)


class DeadLetter(Record):
    """A record that a consumer could not process, with the reason. Bytes are in base64."""

    ce_type = _TYPE_PREFIX + "dead.letter.v1"

    topic: str
    partition: int
    offset: int
    reason: str
    consumer: str
    key_base64: str | None
    value_base64: str | None
    headers: list[tuple[str, str]]


class Encoded(NamedTuple):
    """A record as a producer sends it. ``value`` is None in a tombstone."""

    key: bytes
    value: bytes | None
    headers: Headers


def header(headers: Headers, name: str) -> bytes | None:
    """Return the first value of a header, so that all readers agree; None if there is none."""
    return next((value for header_name, value in headers if header_name == name), None)


def encode(record: Record, *, key: str, source: str) -> Encoded:
    """Return the key, value and CloudEvents headers under which ``record`` is written."""
    return Encoded(
        key.encode(),
        record.value(),
        headers_of(record.ce_type, source=source, ce_id=record.event_id()),
    )


def tombstone(*, key: str, source: str, kind: type[Record]) -> Encoded:
    """Return a tombstone: the record that ends the state of ``key``."""
    return Encoded(key.encode(), None, headers_of(kind.ce_type, source=source, ce_id=new_id()))


def message_value(*, id: str, group: str, up: str, message: str, sent_at: int) -> bytes:  # noqa: A002 - the field's name
    """Return the same as `MessageSent.value`, for fields that are validated already."""
    return orjson.dumps({"id": id, "group": group, "up": up, "message": message, "sentAt": sent_at})


def headers_of(ce_type: str, *, source: str, ce_id: str) -> list[tuple[str, bytes]]:
    """Return CloudEvents' headers in Kafka's binary form, with the time now."""
    return [*shared_headers(ce_type, source=source), ("ce_id", ce_id.encode())]


def shared_headers(ce_type: str, *, source: str) -> list[tuple[str, bytes]]:
    """Return all headers but ``ce_id``: records of one type and time share them."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", ce_type.encode()),
        ("ce_source", f"/{source}".encode()),
        ("ce_time", datetime.now(UTC).isoformat().encode()),
        ("content-type", b"application/json"),
    ]
