"""A client of Kafka survives a connection that is lost while it sends, on the event loop of the services."""

import asyncio
import socket
import struct

import pytest
import uvloop
from aiokafka.client import ConnectionGroup
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest

from runtime.kafka import new_producer
from runtime.settings import KafkaSettings

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()


async def is_updated_by_a_lost_connection() -> bool:
    """Ask for metadata over a connection whose loss only the event loop knows of, yet."""
    client = new_producer(KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1")).client
    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        connection = AIOKafkaConnection(host, port)
        connection._versions = {MetadataRequest.API_KEY: (0, 1)}
        connection._reader, connection._writer = await asyncio.open_connection(host, port)
        connection._read_task = asyncio.create_task(asyncio.sleep(3600))
        with pytest.raises(ConnectionError):
            await connection._reader.read()
        assert connection.connected()
        client._conns["bootstrap", ConnectionGroup.DEFAULT] = connection
        return bool(await client._metadata_update(client.cluster, []))


def test_metadata_is_asked_for_again_after_a_connection_was_lost() -> None:
    assert not uvloop.run(is_updated_by_a_lost_connection())
