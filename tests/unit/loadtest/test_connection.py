"""However an edge's bytes are cut, every student of a process reads the same messages, once, in order."""

import asyncio
import ssl
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_server.frames import event_frame
from loadtest.connection import Connection, Owner, _trusted, connect
from loadtest.seen_frames import Batch, SeenFrames
from loadtest.websocket import Handshake
from schemas.client_events import CHAT_MESSAGE, LEFT, ChatMessage, Left
from tests.private_ca import Authority
from tests.unit.loadtest.plain_edge import running_edge


class Reader(Owner):
    """Remembers what its connection says."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.events: list[str] = []
        self.batches = 0

    def on_batch(self, batch: Batch) -> None:
        self.batches += 1
        super().on_batch(batch)

    def on_message(self, message: ChatMessage) -> None:
        self.seqs.append(message.seq)

    def on_event(self, name: str, _payload: Any) -> None:
        self.events.append(name)

    def on_lost(self, reason: str) -> None:
        raise AssertionError(reason)


def frame(seq: int) -> bytes:
    message = ChatMessage(
        id=f"m{seq}", seq=seq, room="leic", up="up201906045", message="olá", timestamp=2, sent_at=1
    )
    return event_frame(CHAT_MESSAGE, message)


def opened(reader: Reader, seen: SeenFrames) -> Connection:
    """Return a connection whose handshake is over."""
    connection = Connection(reader, seen, {}, Handshake(urlsplit("http://edge"), "/"))
    connection._head = None
    return connection


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.data())
@settings(max_examples=60)
async def test_every_student_reads_the_same_however_each_ones_bytes_were_cut(
    seqs: list[int], data: st.DataObject
) -> None:
    stream, seen = b"".join(frame(seq) for seq in seqs), SeenFrames()
    for _ in range(4):
        reader = Reader()
        connection = opened(reader, seen)
        cuts = sorted(data.draw(st.lists(st.sampled_from(range(len(stream))), max_size=4)))
        # Whole frames come in one read more often than not; then the read itself is known.
        cuts = cuts if data.draw(st.booleans()) else []
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            connection.data_received(stream[start:end])
        assert reader.seqs == seqs


async def test_what_is_between_messages_is_read_by_everybody_and_leaves_them_known() -> None:
    other = event_frame(LEFT, Left(room="leic"))
    stream, seen = frame(1) + frame(2) + other + frame(3), SeenFrames()
    for known_batches in (0, 2, 2):
        reader = Reader()
        opened(reader, seen).data_received(stream)
        assert (reader.seqs, reader.events, reader.batches) == ([1, 2, 3], [LEFT], known_batches)
    assert {batch.data for batch in seen.batches.values()} == {frame(1) + frame(2), frame(3)}


class Leaver(Reader):
    """Waits for the end of its connection."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []
        self.left = asyncio.Event()

    def on_lost(self, reason: str) -> None:
        self.reasons.append(reason)
        self.left.set()


async def test_a_connection_that_has_ended_can_be_ended_again_and_takes_nothing_more() -> None:
    leaver = Leaver()
    async with running_edge() as edge:
        connection = await connect(leaver, SeenFrames(), edge.url, {})
        await edge.io.disconnect(edge.sids[-1])
        await leaver.left.wait()
        connection.emit(CHAT_MESSAGE, {}, lambda _: None)
        connection.close()
        connection.abort()
        await asyncio.sleep(0)
        assert edge.got == []
    (reason,) = leaver.reasons
    assert "the edge" in reason


async def test_the_authorities_are_read_once_for_all_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read them takes 20 ms of CPU: with each of a thousand students, only the generator was measured."""
    authority = Authority(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(authority.sign("edge"))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    _trusted.cache_clear()
    leaver = Leaver()
    async with running_edge(server) as edge:
        with patch.object(
            ssl.SSLContext, "load_default_certs", autospec=True, side_effect=ssl.SSLContext.load_default_certs
        ) as read:
            for _ in range(3):
                connection = await connect(leaver, SeenFrames(), edge.url, {})
                connection.close()
                await leaver.left.wait()
                leaver.left.clear()
    _trusted.cache_clear()
    assert len(edge.sids) == 3
    assert read.call_count == 1
