"""What tests of the edge share."""

import pytest

from edge_server import socket_server


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an edge look for what is overdue every 20 ms."""
    monkeypatch.setenv("LOG_DIR", "")
    monkeypatch.setattr(socket_server, "CHECK_EVERY_S", 0.02)
