"""Metrics of all services add up to a few figures, and two readings to one line."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from deploy.demo.figures import Figures, status_line
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


@given(st.lists(st.tuples(counts, counts, counts, counts), max_size=4))
def test_figures_are_the_sums_over_all_services(said: list[tuple[int, int, int, int]]) -> None:
    figures = Figures.read(
        page(connected=c, delivered=d, stored=s, other=7, lag=lag) for c, d, s, lag in said
    )
    connected, delivered, stored, lag = (
        (sum(column) for column in zip(*said, strict=True)) if said else [0] * 4
    )
    assert figures == Figures(connected=connected, delivered=delivered, stored=stored, lag=lag)


def test_a_service_that_does_not_answer_is_left_out() -> None:
    assert Figures.read(["", page(connected=3), ""]) == Figures(connected=3)


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
    line = status_line(Figures(delivered=before, sent=before), Figures(delivered=now, sent=now), seconds)
    assert "-" not in line


def test_the_line_names_what_it_shows() -> None:
    line = status_line(Figures(sent=10), Figures(connected=40, sent=14, delivered=500, stored=9, lag=2), 2.0)
    shown = " ".join(line.split())
    assert shown == "connected 40 · messages/s 2.0 · delivered/s 250 · stored 9 · lag 2"
