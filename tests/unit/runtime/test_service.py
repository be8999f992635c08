"""A service starts, says when a part dies, ends when it can't go on, and always closes its parts."""

import asyncio

import pytest

from runtime import service as life
from runtime.service import Fatal, Service, running
from runtime.settings import ServiceSettings
from tests.integration.backing import eventually


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    monkeypatch.setenv("LOG_DIR", "")
    return ServiceSettings(ops_port=0)


async def test_a_part_that_dies_is_a_fault_of_the_health_and_is_started_again(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "WELL_AFTER_S", 0.01)
    runs = 0

    async def part() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ValueError("died")
        await asyncio.Event().wait()

    async def start(service: Service) -> None:
        service.supervise("part", part)

    async with running(Service("test", settings), start) as service:
        await eventually("a fault", lambda: "tasks" in service.health.faults())
        assert service.health.faults() == {"tasks": "part: ValueError"}
        await eventually("well again", lambda: runs == 2 and not service.health.faults())
        assert service.failure is None


@pytest.mark.parametrize("error", [Fatal("another log"), asyncio.CancelledError(), ValueError("again")])
async def test_a_part_that_keeps_dying_ends_the_service(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(life, "MAX_FAILURES_IN_A_ROW", 2)

    async def part() -> None:
        raise error

    async def start(service: Service) -> None:
        service.supervise("part", part)

    async with running(Service("test", settings), start) as service:
        await asyncio.wait_for(service.stopping.wait(), 60)
        assert service.failure is error


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

    async def start(service: Service) -> None:
        service.supervise("part", part)

    async with running(Service("test", settings), start) as service:
        await eventually("it runs again", lambda: runs == 2)
        assert service.failure is None


async def test_no_work_may_be_sent_to_a_service_before_all_its_parts_have_started(
    settings: ServiceSettings,
) -> None:
    while_starting: dict[str, str] = {}

    async def start(service: Service) -> None:
        await asyncio.sleep(0)
        while_starting.update(service.health.faults(readiness=True))

    async with running(Service("test", settings), start) as service:
        assert while_starting == {"start": "not all parts have started yet"}
        assert service.health.faults(readiness=True) == {}


@pytest.mark.parametrize("error", [Fatal("no such broker"), OSError("port in use")])
async def test_a_service_that_cannot_start_fails_and_closes_what_it_opened(
    settings: ServiceSettings, error: Exception
) -> None:
    closed: list[str] = []

    async def start(service: Service) -> None:
        service.resources.callback(closed.append, "part")
        raise error

    async with running(Service("test", settings), start) as service:
        assert service.failure is error
    assert closed == ["part"]


async def test_a_stop_while_starting_is_a_clean_stop(settings: ServiceSettings) -> None:
    service = Service("test", settings)

    async def start(service: Service) -> None:
        service.stopping.set()
        await asyncio.Event().wait()

    async with running(service, start):
        pass
    assert service.failure is None


async def test_a_part_that_does_not_close_in_time_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ServiceSettings(ops_port=0, shutdown_deadline_s=0.01)

    async def start(service: Service) -> None:
        service.resources.push_async_callback(asyncio.Event().wait)

    async with running(Service("test", settings), start) as service:
        pass
    assert isinstance(service.failure, TimeoutError)
