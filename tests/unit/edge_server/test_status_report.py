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
from schemas.log_records import EdgeReported, spread_of
from schemas.up_number import point_of
from tests.simulation.simulated_loop import SimulatedLoop
from tests.unit.edge_server.edge_a import EdgeA, Stranger
from tests.waiting import in_background

EVERY_S = 0.05


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_report, "REPORT_EVERY_S", EVERY_S)


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

    async def send(
        self, _topic: str, *, value: bytes, partition: int, **_more: object
    ) -> "asyncio.Future[None]":
        assert partition == 0, "the topic has no other"
        if self.refuses:
            raise ProducerClosed
        self.reports.append(EdgeReported.read_value(value))
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]


async def test_the_log_is_silent_from_the_first_report_that_it_did_not_take_until_it_takes_any(
    caplog: pytest.LogCaptureFixture,
) -> None:
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
    assert caplog.messages == 4 * ["a status report was not written"]


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


async def test_a_report_says_whether_the_edge_serves_is_to_be_empty_or_has_stopped() -> None:
    log = Log()

    def reporter(edge: EdgeA) -> StatusReport:
        producer = cast(KeptProducer, log)
        return StatusReport(
            EdgeSettings(), "http://a", "p", producer, edge.rooms, edge.drain, lambda: 0.0, lambda: 0.0
        )

    await reporter(EdgeA(draining=("a",))).report()
    one = reporter(edge := EdgeA())
    await one.report()
    edge.drain.begin(30.0)
    await one.report()
    await one.stopped()
    await one.report()
    assert [said.state for said in log.reports] == ["draining", "serving", "draining", "stopped", "stopped"]


@pytest.mark.parametrize("answers", [True, False])
def test_reports_go_on_at_their_rate_and_at_half_of_it_while_the_log_does_not_answer(
    *, answers: bool
) -> None:
    log, edge, loop = Log(), EdgeA(), SimulatedLoop()

    async def live() -> None:
        producer, rooms = cast(KeptProducer, log), edge.rooms
        one = StatusReport(
            EdgeSettings(), "http://a", "p", producer, rooms, edge.drain, lambda: 0.0, loop.time
        )
        async with in_background(one.run()):
            for _ in range(400):
                await asyncio.sleep(EVERY_S / 10)
                for answer in log.answers if answers else ():
                    if not answer.done():
                        answer.set_result(None)

    loop.run_until_complete(live())
    loop.close()
    assert len(log.reports) in (range(34, 42) if answers else range(19, 22))


async def test_a_report_says_how_many_are_here_where_on_the_circle_and_how_much_they_write() -> None:
    log, edge, now, written = Log(), EdgeA(), 0.0, 0
    settings, producer = EdgeSettings(edge_capacity=7), cast(KeptProducer, log)
    one = StatusReport(
        settings, "http://a", "p", producer, edge.rooms, edge.drain, lambda: written, lambda: now
    )
    strangers = [Stranger(sid=str(n), up=f"up20190604{n}") for n in range(3)]
    for stranger in strangers:
        edge.add(stranger)
    now, written = 4.0, 10
    await one.report()
    (said,) = log.reports
    assert (said.connected, said.capacity, said.messages_per_s) == (3, 7, 2.5)
    assert said.spread == spread_of(point_of(stranger.up) for stranger in strangers)
