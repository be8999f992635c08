"""Free ports: different, unused, and outside the range that outgoing connections take."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import ports
from deploy.repository import REPOSITORY


def test_ports_are_different_and_can_be_bound() -> None:
    found = ports.free_ports(20)
    assert len(set(found)) == 20
    for port in found:
        with socket.create_server(("127.0.0.1", port)):
            assert ports.LOWEST <= port < ports.HIGHEST


def test_a_port_in_use_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not ports._hold(server.getsockname()[1])
    monkeypatch.setattr(ports, "_hold", lambda _port: False)
    with pytest.raises(OSError, match="no 1 free ports"):
        ports.free_ports(1)


def test_a_port_is_not_given_to_another_process_while_its_service_is_down() -> None:
    [port] = ports.free_ports(1)
    ask = f"from deploy.local.ports import _hold; print(_hold({port}))"
    for _ in range(2):
        assert subprocess.check_output([sys.executable, "-c", ask], cwd=REPOSITORY) == b"False\n"
        with socket.create_server(("127.0.0.1", port)):
            pass


def unused_port() -> int:
    """Return a port of which `ports` knows nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_two_who_prefer_a_port_do_not_both_get_it_while_no_service_of_theirs_listens() -> None:
    port = unused_port()
    assert ports.prefer_ports([port]) == [port]
    ask = f"from deploy.local.ports import prefer_ports; print(prefer_ports([{port}]))"
    other = subprocess.check_output([sys.executable, "-c", ask], cwd=REPOSITORY, text=True)
    assert other != f"[{port}]\n"


def test_a_port_whose_last_connections_have_just_ended_is_free() -> None:
    """As after a demo that has just been stopped: the next one has the usual ports, too."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
    with socket.socket() as strict, pytest.raises(OSError, match="in use"):
        strict.bind(("127.0.0.1", port))
    assert ports.prefer_ports([port]) == [port]


def test_outgoing_connections_never_take_such_a_port() -> None:
    kernel_range = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not kernel_range.exists():
        pytest.skip("this kernel does not tell its range")
    lowest_outgoing = int(kernel_range.read_text().split()[0])
    if lowest_outgoing < 32768:
        pytest.skip("this machine's range is not the usual one")
    assert lowest_outgoing >= ports.HIGHEST
