"""Entries of the window for tests."""

from edge_server.recent_log import Entry
from schemas.documents import message_key
from schemas.log_records import MessageSent


def entry(
    seq: int,
    *,
    group: str = "g",
    up: str = "up202000001",
    id: str = "",  # noqa: A002 - the contract's word
    message: str | None = None,
    partition: int = 0,
) -> Entry:
    """Return the entry of a consumed message; it says its own seq where nothing else is given."""
    said = str(seq) if message is None else message
    sent = MessageSent(id=id or f"m{seq}", group=group, up=up, message=said, sent_at=1)
    key = message_key(group, up, sent.id).encode()
    return Entry(group, key, partition, seq, 1_700_000_000_000 + seq, value=sent.value())


def poison(seq: int, *, id: str) -> Entry:  # noqa: A002 - the contract's word
    """Return the entry of a record that can't be read."""
    key = message_key("g", "up202000001", id).encode()
    return Entry("g", key, 0, seq, 1_700_000_000_000 + seq, value=b"{not json")
