"""Metrics of a service add up to a few figures, and two readings of all services to one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from deploy.demo.figures import UNKNOWN, Figures, status_line
from runtime import metrics
from schemas import topics

counts = st.integers(0, 10**9)


def page(*, connected: int = 0, delivered: int = 0, stored: int = 0, other: int = 0, lag: int = 0) -> str:
    registry = CollectorRegistry()
    Gauge("chat_edge_connections", "", ["transport"], registry=registry).labels("websocket").set(connected)
    Counter("chat_edge_deliveries_total", "", registry=registry).inc(delivered)
    records = Counter("chat_persister_stored_total", "", ["topic"], registry=registry)
    records.labels(topics.MESSAGES).inc(stored)
    records.labels(topics.USERS).inc(other)
    Gauge("chat_persister_lag_records", "", ["topic", "partition"], registry=registry).labels(
        topics.MESSAGES, "3"
    ).set(lag)
    return generate_latest(registry).decode()


@given(counts, counts, counts, counts)
def test_figures_are_those_of_messages(connected: int, delivered: int, stored: int, lag: int) -> None:
    said = page(connected=connected, delivered=delivered, stored=stored, other=7, lag=lag)
    assert Figures.read(said) == Figures(connected=connected, delivered=delivered, stored=stored, lag=lag)


def test_the_line_is_about_all_services() -> None:
    now = {"edge-1": Figures(connected=20), "edge-2": Figures(connected=22), "persister": Figures(stored=9)}
    assert status_line(now, now, 1.0).startswith("connected   42 ")
    assert "stored      9" in status_line(now, now, 1.0)


def test_a_service_that_comes_or_goes_is_no_burst_and_hides_no_other() -> None:
    one = {"edge-1": Figures(delivered=1_000)}
    both = {"edge-1": Figures(delivered=1_010), "edge-2": Figures(delivered=50_000)}
    later = {"edge-1": Figures(delivered=1_020)}
    assert " delivered/s      10 " in status_line(one, both, 1.0)
    assert " delivered/s      10 " in status_line(both, later, 1.0)


def test_the_metrics_that_are_read_are_those_that_services_have() -> None:
    metrics.STORED.labels(topics.MESSAGES).inc(0)
    metrics.STORE_LAG.labels(topics.MESSAGES, "0").set(0)
    metrics.CONNECTIONS.labels("websocket").set(0)
    said = generate_latest().decode()
    for name in (
        "chat_edge_connections{", "chat_edge_messages_in_total ", "chat_edge_deliveries_total ",
        "chat_persister_stored_total{", "chat_persister_lag_records{",
    ):  # fmt: skip
        assert f"\n{name}" in said


@given(counts, counts, st.floats(0.1, 10))
def test_a_service_that_started_again_gives_no_negative_rate(before: int, now: int, seconds: float) -> None:
    earlier, later = ({"edge-1": Figures(delivered=count, sent=count)} for count in (before, now))
    line = status_line(earlier, later, seconds)
    assert "-" not in line


def test_the_line_names_what_it_shows() -> None:
    now = Figures(connected=40, sent=14, delivered=500, stored=9, lag=2)
    line = status_line({"edge-1": Figures(sent=10)}, {"edge-1": now, "persister": now}, 2.0)
    assert " ".join(line.split()) == "connected 40 · messages/s 2.0 · delivered/s 250 · stored 9 · lag 2"


@pytest.mark.parametrize(
    ("living", "chat", "history"),
    [
        ({"edge-2", "persister"}, ("40", "0.0", "0"), ("9", "2")),
        ({"edge-2"}, ("40", "0.0", "0"), (UNKNOWN, UNKNOWN)),
        ({"dispatcher", "persister"}, (UNKNOWN, UNKNOWN, UNKNOWN), ("9", "2")),
    ],
)
def test_what_those_who_have_ended_would_say_is_not_taken_for_nothing(
    living: set[str], chat: tuple[str, ...], history: tuple[str, ...]
) -> None:
    now = dict.fromkeys(living, Figures(connected=40, sent=14, delivered=500, stored=9, lag=2))
    shown = status_line(now, now, 1.0).split(" · ")
    assert tuple(one.split()[-1] for one in shown) == chat + history
