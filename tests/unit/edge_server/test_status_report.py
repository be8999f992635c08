"""What a report says of an edge, and for how long none was taken."""

import asyncio
from collections.abc import Iterator
from typing import cast

import pytest
from aiokafka.errors import ProducerClosed

from edge_server import status_report
from edge_server.drain import DEAF_AFTER_S, Drain
from edge_server.elsewhere import Elsewhere
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from edge_server.status_report import Rate, StatusReport
from runtime.assignments import Assignments
from runtime.kafka import KeptProducer
from schemas.log_records import EdgeReported


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_report, "REPORT_EVERY_S", 0.05)


def test_a_rate_is_the_growth_since_it_was_asked_last() -> None:
    moments: Iterator[float] = iter((0.0, 2.0, 3.0, 3.0))
    counts: Iterator[float] = iter((10.0, 30.0, 30.0, 31.0))
    rate = Rate(lambda: next(counts), lambda: next(moments))
    assert [rate.per_s(), rate.per_s()] == [10.0, 0.0]
    assert rate.per_s() == 1000.0, "two looks at the same moment divide by no zero"


class Log:
    """A producer whose log answers when the test says so, or refuses at once."""

    def __init__(self) -> None:
        self.refuses = False
        self.reports: list[EdgeReported] = []
        self.answers: list[asyncio.Future[None]] = []

    async def send(self, _topic: str, *, value: bytes, **_more: object) -> "asyncio.Future[None]":
        if self.refuses:
            raise ProducerClosed
        self.reports.append(EdgeReported.read_value(value))
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]


async def test_the_log_is_silent_from_the_first_report_that_it_did_not_take_until_it_takes_any() -> None:
    now, log, rooms = 0.0, Log(), Rooms()
    drain = Drain(Elsewhere("a", Assignments()), rooms)
    settings, producer = EdgeSettings(), cast(KeptProducer, log)
    report = StatusReport(settings, "http://a", "p", producer, rooms, drain, lambda: 0.0, lambda: now)
    now = 100.0
    assert report.silent_s() == 0, "none was written yet"
    await report.report()
    now = 110.0
    log.refuses = True
    await report.report()
    now = 130.0
    assert report.silent_s() == 30
    log.answers[0].set_result(None)
    await asyncio.sleep(0)
    assert report.silent_s() == 0, "it was slow"
    await report.report()
    now = 140.0
    assert report.silent_s() == 10
    log.refuses = False
    await report.report()
    log.answers[-1].set_exception(ProducerClosed())
    await asyncio.sleep(0)
    assert report.silent_s() == 10


async def test_each_report_says_which_process_of_the_edge_it_is_from() -> None:
    log, rooms = Log(), Rooms()
    drain = Drain(Elsewhere("a", Assignments()), rooms)
    settings, producer = EdgeSettings(), cast(KeptProducer, log)
    one = StatusReport(settings, "http://a", "p", producer, rooms, drain, lambda: 0.0, lambda: 0.0)
    await one.report()
    await one.stopped()
    assert [report.process for report in log.reports] == ["p", "p"]


async def test_an_edge_that_is_deaf_says_so_and_goes_on_serving_until_the_table_says_otherwise() -> None:
    log, rooms = Log(), Rooms()
    for deaf_s in (0.0, DEAF_AFTER_S):
        drain = Drain(Elsewhere("a", Assignments()), rooms, lambda deaf_s=deaf_s: deaf_s)  # type: ignore[misc]
        producer = cast(KeptProducer, log)
        one = StatusReport(EdgeSettings(), "http://a", "p", producer, rooms, drain, lambda: 0.0, lambda: 0.0)
        await one.report()
    assert [(one.deaf, one.state) for one in log.reports] == [(False, "serving"), (True, "serving")]
