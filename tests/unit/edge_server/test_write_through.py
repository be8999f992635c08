"""A client with a websocket gets what is written in order, its first packets in one write."""

import asyncio
from typing import Any, cast

from engineio import packet

from edge_server.frames import text_frame
from edge_server.write_through import WriteThrough
from tests.unit.edge_server.transports import Transport


def message(text: str) -> packet.Packet:
    return packet.Packet(packet.MESSAGE, text)


async def test_what_is_put_in_one_pass_before_the_client_is_direct_leaves_in_one_write() -> None:
    transport = Transport()
    queue = WriteThrough(cast(Any, transport), lambda: None, 100)
    queue.put_nowait(message("0"))
    queue.put_frame(text_frame(b"42[]"))
    assert transport.wire == []
    await asyncio.sleep(0)
    assert transport.wire == [b"\x81\x0240\x81\x0442[]"]
    queue.put_nowait(message("1"))
    await asyncio.sleep(0)
    assert transport.wire[1:] == [b"\x81\x0241"]


async def test_who_is_direct_gets_everything_at_once_and_after_what_waited() -> None:
    transport = Transport()
    queue = WriteThrough(cast(Any, transport), lambda: None, 100)
    queue.put_nowait(message("0"))
    queue.write_at_once()
    queue.put_nowait(message("1"))
    assert transport.wire == [b"\x81\x0240", b"\x81\x0241"]
    await asyncio.sleep(0)
    assert len(transport.wire) == 2


async def test_nothing_is_written_to_a_connection_that_closes() -> None:
    transport = Transport()
    queue = WriteThrough(cast(Any, transport), lambda: None, 100)
    queue.put_nowait(message("0"))
    transport.abort()
    await asyncio.sleep(0)
    assert transport.wire == [b"ABORTED"]


def test_who_does_not_read_what_it_asked_for_is_cut_off() -> None:
    transport = Transport()
    ends: list[bool] = []
    queue = WriteThrough(cast(Any, transport), lambda: ends.append(True), 100)
    queue.write_at_once()
    queue.put_nowait(packet.Packet(packet.MESSAGE, "3"))
    assert b"ABORTED" not in transport.wire
    transport.unread = 101
    queue.put_nowait(packet.Packet(packet.MESSAGE, "3"))
    assert transport.wire[-1] == b"ABORTED"
    assert ends == []


async def test_the_end_is_written_after_everything_before_it() -> None:
    transport = Transport()
    ends: list[int] = []
    queue = WriteThrough(cast(Any, transport), lambda: ends.append(len(transport.wire)), 100)
    await queue.put(packet.Packet(packet.MESSAGE, "41"))
    await queue.put(packet.Packet(packet.CLOSE))
    await queue.put(None)
    assert transport.wire == [b"\x81\x03441\x81\x011"]
    assert ends == [1, 1]
