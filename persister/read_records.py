"""Read: a record of the log becomes a document to insert or a change to apply. Pure, and knows no batch.

A `BadRecord` is one with wrong bytes, another type, or a key that does not match its value.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from aiokafka import ConsumerRecord

from schemas import documents, topics
from schemas.ids import membership_key
from schemas.log_records import (
    BadRecord,
    GroupCreated,
    MemberJoined,
    MessageSent,
    PresenceChanged,
    ProfileChanged,
)

_MEMBERSHIP_KEY: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}/up[0-9]{9}")
_PRESENCE: Final = "/online"


class NewMessage(NamedTuple):
    """A message's document, and the record that it stands for."""

    document: documents.MessageDocument
    source: ConsumerRecord


class Fold(NamedTuple):
    """A record's change of one document. The last record of a key decides, by its offset.

    ``guard`` names the field with that offset. Names and presence share a document, with a guard each.
    """

    collection: str
    key: str
    guard: str
    values: Mapping[str, Any] | None
    """The fields to set; None where the record is a tombstone."""
    source: ConsumerRecord
    left: frozenset[tuple[str, str | None]] | None = None
    """Of a departure: the edges that a user has left, with their processes. It counts only if one of these,
    or none, was the last to report the user online."""


class Poison(NamedTuple):
    """A record that can't be stored, and why."""

    source: ConsumerRecord
    reason: str


ReadResult = NewMessage | Fold | Poison


def read(record: ConsumerRecord) -> ReadResult:
    """Return the record's document or change. Never raises: what cannot be read is a `Poison`."""
    try:
        return _READERS[topics.of_any_generation(record.topic)](record)
    except BadRecord as error:
        return Poison(record, str(error))


def _message(record: ConsumerRecord) -> NewMessage:
    sent = MessageSent.read(record.headers, record.value)
    _check_key(record, sent.group)
    document = documents.message_document(sent, seq=record.offset, timestamp=record.timestamp)
    return NewMessage(document, record)


def _group(record: ConsumerRecord) -> Fold:
    created = GroupCreated.read(record.headers, record.value)
    _check_key(record, created.group)
    values = {"name": created.name, "createdBy": created.created_by}
    return Fold(documents.GROUPS, created.group, "seq", values, record)


def _membership(record: ConsumerRecord) -> Fold:
    if record.value is None:
        return Fold(documents.MEMBERSHIPS, _membership_key(record), "seq", None, record)
    joined = MemberJoined.read(record.headers, record.value)
    key = membership_key(joined.group, joined.up)
    _check_key(record, key)
    values = {"group": joined.group, "up": joined.up}
    return Fold(documents.MEMBERSHIPS, key, "seq", values, record)


def _user(record: ConsumerRecord) -> Fold:
    if (record.key or b"").endswith(_PRESENCE.encode()):
        presence = PresenceChanged.read(record.headers, record.value)
        _check_key(record, presence.up + _PRESENCE)
        if presence.edge is not None and not presence.online:
            left = frozenset(((presence.edge, presence.process),))
            return Fold(documents.USERS, presence.up, documents.ONLINE_SEQ, {"online": False}, record, left)
        online = {
            "online": presence.online,
            documents.ONLINE_EDGE: presence.edge,
            documents.ONLINE_PROCESS: presence.process,
            documents.ONLINE_PROCESS_SEQ: record.offset,
        }
        return Fold(documents.USERS, presence.up, documents.ONLINE_SEQ, online, record)
    profile = ProfileChanged.read(record.headers, record.value)
    _check_key(record, profile.up)
    names = {"username": profile.username, "name": profile.name}
    return Fold(documents.USERS, profile.up, "profileSeq", names, record)


_READERS: Final[dict[str, Callable[[ConsumerRecord], ReadResult]]] = {
    topics.MESSAGES: _message,
    topics.GROUPS: _group,
    topics.MEMBERSHIPS: _membership,
    topics.USERS: _user,
}

TOPICS: Final = tuple(_READERS)
"""Topics that the persister reads. Only it writes dead letters for these."""


def _check_key(record: ConsumerRecord, expected: str) -> None:
    if record.key != expected.encode():
        raise BadRecord(f"the key is not {expected}")


def _membership_key(record: ConsumerRecord) -> str:
    """Return the key of a tombstone: only the key names the membership. Raises `BadRecord`."""
    if record.key is None or not _MEMBERSHIP_KEY.fullmatch(record.key):
        raise BadRecord("the key does not name a group and a user")
    return str(record.key, "ascii")
