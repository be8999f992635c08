"""An edge says at its start what it was told wrong."""

import json

import pytest
from pydantic import ValidationError

from edge_server.settings import LONGEST_CONNECT_BYTES, EdgeSettings
from schemas.client_events import MAX_CURSORS, MAX_TOKEN_CHARS, ConnectAuth


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://localhost:5001",
        "https://edge-1.chat.example.org",
        "https://edge-1.chat.example.org/",
        "http://[::1]:5001",
        "http://$(EDGE_NAME).chat.localhost",
    ],
)
def test_an_edge_takes_a_url_that_leads_to_a_host(url: str) -> None:
    assert EdgeSettings(edge_url=url).edge_url == url


@pytest.mark.parametrize(
    "url",
    [
        "edge-1.chat.example.org",
        "localhost:5001",
        "//edge-1.chat.example.org",
        "ws://edge-1.chat.example.org",
        "javascript:alert(1)",
        "http://",
        "http://:5001",
        "http:///chat",
        "https://chat.example.org/edge-1",
        "https://chat.example.org/edge-1/",
        "https://chat.example.org//",
        "http://localhost:port",
        "http://localhost:99999",
        "http://[::1",
        " http://localhost:5001",
        "http://local host:5001",
    ],
)
def test_an_edge_takes_no_url_at_which_no_client_could_reach_it(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        EdgeSettings(edge_url=url)
    assert [error["loc"] for error in caught.value.errors()] == [("edge_url",)]


@pytest.mark.parametrize("host", ["", "*", "0.0.0.0", "::"])
def test_an_edge_at_every_address_is_told_where_clients_reach_it(host: str) -> None:
    with pytest.raises(ValidationError, match="EDGE_URL"):
        EdgeSettings(edge_host=host)
    url = "https://edge-1.chat.example.org"
    assert EdgeSettings(edge_host=host, edge_url=url).edge_url == url
    assert EdgeSettings(edge_host="127.0.0.1").edge_url == ""


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (EdgeSettings(edge_host="10.0.0.7"), "http://10.0.0.7:5001"),
        (EdgeSettings(edge_host="::1"), "http://[::1]:5001"),
        (EdgeSettings(edge_host="::1", edge_url="https://edge-1.up.pt"), "https://edge-1.up.pt"),
    ],
)
def test_clients_reach_an_edge_at_its_url_or_else_where_it_listens(settings: EdgeSettings, url: str) -> None:
    assert settings.url_at(5001) == url


def test_the_longest_connect_that_the_contract_allows_is_an_event_that_is_read() -> None:
    since = {f"{n:064}": -(2**63) for n in range(MAX_CURSORS)}
    auth = {"token": "x" * MAX_TOKEN_CHARS, "since": since}
    assert ConnectAuth.model_validate(auth).since == since
    with pytest.raises(ValidationError):
        ConnectAuth.model_validate({**auth, "since": {**since, "x": 0}})
    with pytest.raises(ValidationError):
        ConnectAuth.model_validate({**auth, "token": "x" * 8_193})
    assert len(f"40{json.dumps(auth)}") <= LONGEST_CONNECT_BYTES


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("max_event_bytes", LONGEST_CONNECT_BYTES - 1),
        # aiohttp's reader of websockets counts in 32 bits.
        ("max_frame_bytes", 2**32),
        ("ping_interval_s", 0.05),
        # Clients are told it in milliseconds: 0 closed them at once.
        ("ping_timeout_s", 0.0005),
    ],
)
def test_an_edge_takes_no_bound_with_which_clients_could_not_connect(name: str, given: float) -> None:
    with pytest.raises(ValidationError) as caught:
        EdgeSettings.model_validate({name: given})
    assert [error["loc"] for error in caught.value.errors()] == [(name,)]


def test_an_event_that_is_read_is_a_frame_that_is_read() -> None:
    settings = EdgeSettings(max_frame_bytes=LONGEST_CONNECT_BYTES, max_event_bytes=LONGEST_CONNECT_BYTES)
    assert settings.max_frame_bytes == LONGEST_CONNECT_BYTES
    with pytest.raises(ValidationError, match="MAX_EVENT_BYTES must not be more than MAX_FRAME_BYTES"):
        EdgeSettings(max_frame_bytes=131_071)


def test_all_connections_that_a_user_may_have_may_come_at_once() -> None:
    assert EdgeSettings(max_connections_per_user=250).connects_burst_per_user == 250
    with pytest.raises(ValidationError, match="CONNECTS_BURST_PER_USER"):
        EdgeSettings(max_connections_per_user=251)
