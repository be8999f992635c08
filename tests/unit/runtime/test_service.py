"""A service starts, says when a part dies, ends when it can't go on, and always closes its parts."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession, web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import REGISTRY

from runtime import logs, metrics
from runtime import service as life
from runtime.health import waiting_for
from runtime.service import Fatal, Service, running
from runtime.settings import ServiceSettings
from tests.counting import counting
from tests.waiting import eventually


class Dies:
    """A part that dies when it runs first, so many ``times``, and then no more."""

    def __init__(self, times: int = 1) -> None:
        self.runs, self._times = 0, times

    async def __call__(self) -> None:
        self.runs += 1
        if self.runs <= self._times:
            raise ValueError("died")
        await asyncio.Event().wait()


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    monkeypatch.setenv("LOG_DIR", "")
    return ServiceSettings(ops_port=0)


@asynccontextmanager
async def supervising(
    part: Callable[[], Coroutine[Any, Any, None]], settings: ServiceSettings
) -> AsyncIterator[Service]:
    """Run a service of one part."""

    async def start(service: Service) -> None:
        service.supervise("part", part)

    async with running(Service("test", settings), start) as service:
        yield service


async def test_a_part_that_dies_is_a_fault_of_the_health_and_is_started_again(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "WELL_AFTER_S", 0.01)
    part = Dies()
    restarts = counting(metrics.TASK_RESTARTS.labels(task="part"))

    async with supervising(part, settings) as service:
        await eventually("a fault", lambda: "tasks" in service.health.faults())
        assert service.health.faults() == {"tasks": "part: ValueError"}
        await eventually("it runs again", lambda: part.runs == 2)
        assert service.health.faults() == {}
        await eventually("well again", lambda: not service.health.mended())
        assert service.failure is None
        assert restarts() == 1


async def test_at_a_stop_a_part_has_ended_before_what_was_there_before_it_is_closed(
    settings: ServiceSettings,
) -> None:
    ended: list[str] = []

    async def part() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("part")

    async def start(service: Service) -> None:
        service.resources.callback(ended.append, "what it needs")
        service.supervise("part", part)
        await asyncio.sleep(0)

    async with running(Service("test", settings), start) as service:
        await eventually("it has started", lambda: service.started)
        assert ended == []
    assert ended == ["part", "what it needs"]
    assert service.failure is None


async def test_the_ops_port_answers_until_the_end_and_alone_logs_no_requests(
    settings: ServiceSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logs.ACCESS_LOG)
    ports: list[int] = []

    async def start(service: Service) -> None:
        ports.append(await service.open_ops())
        ports.append(await service.serve(web.Application(), "127.0.0.1", 0))

    async with ClientSession() as client:
        async with running(Service("test", settings), start) as service:
            await eventually("it has started", lambda: service.started)
            ops, public = (f"http://127.0.0.1:{port}/healthz" for port in ports)
            assert ((await client.get(ops)).status, (await client.get(public)).status) == (200, 404)
            await service.stop_serving()
            with pytest.raises(ClientConnectionError):
                await client.get(public)
            assert (await client.get(ops)).status == 200
        with pytest.raises(ClientConnectionError):
            await client.get(ops)
    assert [" 404 " in line for line in caplog.messages if "/healthz" in line] == [True]


async def test_of_two_failures_the_first_is_the_reason(settings: ServiceSettings) -> None:
    service, first = Service("test", settings), ValueError("first")
    for error in (first, ValueError("second")):
        service.fail(error)
    assert service.failure is first


@pytest.mark.parametrize(("path", "behind"), [("/healthz", {}), ("/readyz", {"log": "behind"})])
async def test_liveness_fails_only_while_what_died_does_not_run_and_readiness_for_more(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, path: str, behind: dict[str, str]
) -> None:
    """A probe must not kill an edge with thousands of clients for a part that runs again."""

    async def health(restart_after_s: float, wanted_runs: int) -> tuple[int, dict[str, object]]:
        part = Dies()
        monkeypatch.setattr(life, "RESTART_AFTER_S", restart_after_s)
        monkeypatch.setattr(life, "MAX_RESTART_AFTER_S", restart_after_s)
        service = Service("test", settings)
        service.started = True
        service.health.ready("log", lambda: "behind")
        async with service.resources, TestClient(TestServer(service.ops)) as client:
            service.supervise("part", part)
            await eventually("so many runs", lambda: part.runs == wanted_runs)
            await eventually("it is said", lambda: bool(service.health.faults() or service.health.mended()))
            answer = await client.get(path)
            return answer.status, await answer.json()

    died = {"tasks": "part: ValueError"}
    status, said = await health(restart_after_s=3600.0, wanted_runs=1)
    assert (status, said["status"], said["faults"], said["mended"]) == (503, "failing", died | behind, {})
    status, said = await health(restart_after_s=0.0, wanted_runs=2)
    well = (503, "failing") if behind else (200, "ok")
    assert (status, said["status"], said["faults"], said["mended"]) == (*well, behind, died)


@pytest.mark.parametrize("error", [Fatal("another log"), asyncio.CancelledError(), ValueError("again"), None])
async def test_a_part_that_keeps_dying_or_returns_ends_the_service(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, error: BaseException | None
) -> None:
    monkeypatch.setattr(life, "MAX_FAILURES_IN_A_ROW", 2)

    async def part() -> None:
        if error is not None:
            raise error

    async with supervising(part, settings) as service:
        await asyncio.wait_for(service.stopping.wait(), 60)
        assert str(service.failure) == ("part ended by itself" if error is None else str(error))


async def test_a_part_that_dies_now_and_then_is_started_again_however_often(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "MAX_FAILURES_IN_A_ROW", 2)
    monkeypatch.setattr(life, "RESTART_AFTER_S", 0.0)
    monkeypatch.setattr(life, "WELL_AFTER_S", -1.0)  # it had run for longer, each time
    async with supervising(part := Dies(times=4), settings) as service:
        await eventually("it runs, or all is over", lambda: part.runs == 5 or service.stopping.is_set())
        assert service.failure is None


async def test_a_part_is_started_again_where_a_cancellation_leaks_after_a_failed_group_of_tasks(
    settings: ServiceSettings,
) -> None:
    """Python 3.11 leaves a task that ran a failed `TaskGroup` counted as being cancelled."""
    runs = 0

    async def fails() -> None:
        raise ValueError("a step")

    async def part() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            with pytest.raises(ExceptionGroup):
                async with asyncio.TaskGroup() as steps:
                    steps.create_task(fails())
            raise asyncio.CancelledError
        await asyncio.Event().wait()

    async with supervising(part, settings) as service:
        await eventually("it runs again", lambda: runs == 2)
        assert service.failure is None


async def test_no_work_may_be_sent_to_a_service_before_all_its_parts_have_started(
    settings: ServiceSettings,
) -> None:
    while_starting: dict[str, str] = {}
    ready: list[float | None] = []

    async def start(service: Service) -> None:
        await asyncio.sleep(0)
        while_starting.update(service.health.faults(readiness=True))
        ready.append(REGISTRY.get_sample_value("chat_ready"))

    async with running(Service("test", settings), start) as service:
        assert while_starting == {"start": "not all parts have started yet"}
        assert service.health.faults(readiness=True) == {}
        assert [*ready, REGISTRY.get_sample_value("chat_ready")] == [0, 1]


async def test_readiness_says_what_a_start_waits_for_and_a_service_that_has_started_is_ready_without(
    settings: ServiceSettings,
) -> None:
    said: list[str | None] = []

    async def start(service: Service) -> None:
        with waiting_for("Kafka") as tell, waiting_for("a topic"):
            tell("away")
            said.append(service.health.faults(readiness=True).get("waiting for"))
        said.append(service.health.faults(readiness=True).get("waiting for"))

    async with running(Service("test", settings), start) as service:
        assert said == ["Kafka: away; a topic: not there yet", None]
        with waiting_for("Kafka"):
            assert service.health.faults(readiness=True) == {}


@pytest.mark.parametrize("error", [Fatal("no such broker"), OSError("port in use"), asyncio.CancelledError()])
async def test_a_service_that_cannot_start_fails_and_closes_what_it_opened(
    settings: ServiceSettings, error: BaseException
) -> None:
    closed: list[str] = []

    async def start(service: Service) -> None:
        service.resources.callback(closed.append, "part")
        raise error

    async with running(Service("test", settings), start) as service:
        await service.stopping.wait()
        assert service.failure is error
    assert closed == ["part"]


@pytest.mark.parametrize("host", ["[::1]", "127.0.0.1:9100", "192.0.2.1", "x" * 300])
async def test_where_a_service_cannot_listen_is_said_in_a_line_without_a_traceback(
    settings: ServiceSettings, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def start(service: Service) -> None:
        await service.serve(web.Application(), host, 5001)

    async with running(Service("test", settings), start) as service:
        await service.stopping.wait()
    (line,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert vars(line)["facts"]["reason"].startswith(f"cannot listen on {host!r}, port 5001: ")
    assert line.exc_info is None


async def test_a_stop_while_starting_is_a_clean_stop(settings: ServiceSettings) -> None:
    service = Service("test", settings)
    ended: list[str] = []

    async def start(service: Service) -> None:
        service.resources.callback(ended.append, "what it opened")
        service.stopping.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("the start")

    async with running(service, start):
        pass
    assert ended == ["the start", "what it opened"], "what is opened later would stay open"
    assert service.failure is None


async def test_a_part_that_does_not_close_in_time_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ServiceSettings(ops_port=0, shutdown_deadline_s=0.01)

    async def start(service: Service) -> None:
        service.resources.push_async_callback(asyncio.Event().wait)

    async with running(Service("test", settings), start) as service:
        pass
    assert isinstance(service.failure, TimeoutError)


async def test_parts_that_never_close_do_not_keep_the_others_open_nor_the_process_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(life, "LEAVE_PART_AFTER_S", 0.01)
    settings = ServiceSettings(ops_port=0, shutdown_deadline_s=0.01)
    closed: list[str] = []

    async def start(service: Service) -> None:
        service.resources.callback(closed.append, "the first part")
        for _ in range(3):
            service.resources.push_async_callback(asyncio.Event().wait)

    async with asyncio.timeout(60), running(Service("test", settings), start) as service:
        pass
    assert closed == ["the first part"]
    assert isinstance(service.failure, TimeoutError)


async def test_an_error_while_closing_is_raised(settings: ServiceSettings) -> None:
    async def start(service: Service) -> None:
        service.resources.push_async_callback(fails)

    async def fails() -> None:
        raise ValueError("closing")

    with pytest.raises(ValueError, match="closing"):
        async with running(Service("test", settings), start):
            pass
