"""The collections in MongoDB, their documents and indexes.

The persister writes them, the gateway reads them. A document's ``_id`` is built from what makes it unique, so
that the store itself detects a record that is written twice.
"""

from typing import Any, Final, TypedDict

from schemas.log_records import MessageSent

MESSAGES: Final = "messages"
GROUPS: Final = "groups"
MEMBERSHIPS: Final = "memberships"
USERS: Final = "users"
PROGRESS: Final = "progress"

ONLINE_EDGE: Final = "onlineEdge"
"""In a user: the last edge that reported them online."""

ONLINE_SEQ: Final = "onlineSeq"
"""The offset of the record that decided whether they are online."""

ONLINE_PROCESS: Final = "onlineProcess"
ONLINE_PROCESS_SEQ: Final = "onlineProcessSeq"
"""The process of that edge, if known, and the offset of the record that named it. Older persisters, which do
not know processes, leave both unchanged."""

INDEXES: Final[dict[str, list[list[tuple[str, int]]]]] = {
    MESSAGES: [[("group", 1), ("seq", 1)], [("id", 1)], [("timestamp", 1), ("_id", 1)]],
    MEMBERSHIPS: [[("up", 1), ("group", 1)], [("group", 1), ("up", 1)]],
}
"""By collection: the indexes that the persister creates at start."""


class MessageDocument(TypedDict):
    _id: str
    id: str
    group: str
    seq: int
    up: str
    message: str
    timestamp: int
    sentAt: int


Document = dict[str, Any]


def message_key(group: str, up: str, message_id: str) -> str:
    """Return a message's ``_id``: one sender's key within one group. No part can hold a slash."""
    return f"{group}/{up}/{message_id}"


def message_document(record: MessageSent, *, seq: int, timestamp: int) -> MessageDocument:
    """Return the document of a message at offset ``seq``, appended at ``timestamp`` (ms)."""
    return {
        "_id": message_key(record.group, record.up, record.id),
        "id": record.id,
        "group": record.group,
        "seq": seq,
        "up": record.up,
        "message": record.message,
        "timestamp": timestamp,
        "sentAt": record.sent_at,
    }


def progress_key(topic: str, partition: int) -> str:
    """Return the ``_id`` of a partition's progress ``{_id, next}``: all before ``next`` is stored."""
    return f"{topic}/{partition}"
