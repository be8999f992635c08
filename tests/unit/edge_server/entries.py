"""Entries of the window for tests."""

from edge_server.recent_log import Entry, message_key
from schemas.log_records import MessageSent, encode


def entry(seq: int, *, group: str = "g", up: str = "up202000001", id: str = "", partition: int = 0) -> Entry:  # noqa: A002 - the contract's word
    """Return the entry of a message that says its own seq."""
    sent = MessageSent(id=id or f"m{seq}", group=group, up=up, message=str(seq), sent_at=1)
    record = encode(sent, key=group, source="test")
    key = message_key(group, up, sent.id)
    return Entry(group, key, partition, seq, 1_700_000_000_000 + seq, record.headers, record.value)
