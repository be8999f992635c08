"""The probe of a broker: counts brokers, and takes every kind of silence for zero."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from deploy.local import kafka_probe
from deploy.local.kafka_probe import brokers_known, metadata_request


@contextmanager
def listener(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server for one connection; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                behave(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()


def answer(correlation: int, brokers: int) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        assert connection.recv(1024) == metadata_request()
        for part in struct.pack(">iii", 8, correlation, brokers):
            connection.sendall(bytes([part]))

    return behave


def test_the_request_says_its_own_length() -> None:
    request = metadata_request()
    assert struct.unpack(">i", request[:4]) == (len(request) - 4,)


@pytest.mark.parametrize("brokers", [0, 1, 3])
def test_it_counts_the_brokers_that_are_reported(brokers: int) -> None:
    with listener(answer(kafka_probe.CORRELATION, brokers)) as port:
        assert brokers_known("127.0.0.1", port) == brokers


@pytest.mark.parametrize("behave", [answer(kafka_probe.CORRELATION + 1, 3), lambda _: None])
def test_an_answer_to_another_question_and_a_closed_connection_are_none(
    behave: Callable[[socket.socket], None],
) -> None:
    with listener(behave) as port:
        assert brokers_known("127.0.0.1", port) == 0


def test_silence_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_probe, "TIMEOUT_S", 0.05)
    asked = threading.Event()
    with listener(lambda connection: (asked.wait(60), None)[1]) as port:
        assert brokers_known("127.0.0.1", port) == 0
        asked.set()


def test_nobody_there_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert brokers_known("127.0.0.1", port) == 0
