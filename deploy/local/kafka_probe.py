"""Checks that a broker serves clients, by a metadata request. Blocking, without a client library.

An open port is no proof: Kafka binds it seconds before it answers.
"""

import socket
import struct

METADATA, VERSION, CORRELATION = 3, 1, 7
TIMEOUT_S = 2.0


def metadata_request() -> bytes:
    """Metadata v1 for no topic at all, with its length in front."""
    client_id = b"probe"
    header = struct.pack(">hhih", METADATA, VERSION, CORRELATION, len(client_id)) + client_id
    body = header + struct.pack(">i", 0)
    return struct.pack(">i", len(body)) + body


def brokers_known(host: str, port: int) -> int:
    """Return how many live brokers the one at `host:port` reports; 0 while it does not answer."""
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.sendall(metadata_request())
            # length, correlation id, number of brokers
            _, correlation, brokers = struct.unpack(">iii", _exactly(connection, 12))
    except OSError:
        return 0
    return brokers if correlation == CORRELATION else 0


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            raise ConnectionError("the broker closed the connection")
        received += part
    return received
