"""What processes of students say becomes one run: no second of any of them is lost."""

import asyncio
import os
import sys
from typing import Any

import pytest

from loadtest import crew
from loadtest.crew import Crew, RunFailedError
from loadtest.news import Job, News, Second
from tests.unit.loadtest.results import result, verdict

DEADLINE_S = 25.0
"""Shorter than the time after which the gateway is asked again (`loadtest.rest`)."""

JOB = Job(scenario=result().scenario, gateway="", run="", number=0, of=2)


def says(monkeypatch: pytest.MonkeyPatch, *processes: list[News]) -> None:
    """Let the processes that are started say this and end."""
    texts = iter(
        "".join(f"{news.model_dump_json(exclude_defaults=True)}\n" for news in said) for said in processes
    )

    async def launch() -> asyncio.subprocess.Process:
        code = f"import sys; sys.stdout.write({next(texts)!r}); sys.stdout.flush(); sys.stdin.read()"
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdin=pipe, stdout=pipe)

    monkeypatch.setattr(crew, "_launch", launch)


async def test_seconds_are_told_in_order_also_of_those_who_go_on_when_others_have_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = News(verdict=verdict({}))
    quick = [News(ready=True), News(second=Second(at=0, received=1)), done]
    slow = [News(ready=True), *(News(second=Second(at=at, received=10)) for at in range(4)), done]
    says(monkeypatch, quick, slow)
    told: list[Second] = []
    verdicts = await Crew([JOB, JOB], told.append).run()
    assert len(verdicts) == 2
    assert [(second.at, second.received) for second in told] == [(0, 11), (1, 10), (2, 10), (3, 10)]


async def test_a_ctrl_c_in_the_terminal_reaches_only_who_started_the_processes() -> None:
    process = await crew._launch()
    try:
        assert os.getsid(process.pid) == process.pid
    finally:
        process.kill()
        await process.wait()


async def test_a_process_that_may_not_hold_its_students_says_so_before_anybody_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system would be blamed for students who never came."""
    monkeypatch.setenv("TOKEN_SECRET", "a secret of a test, longer than 32 bytes")
    launch = asyncio.create_subprocess_exec

    async def launch_with_few_files(*command: str, **options: Any) -> asyncio.subprocess.Process:
        return await launch("sh", "-c", 'ulimit -n 100 && exec "$@"', "sh", *command, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", launch_with_few_files)
    with pytest.raises(RunFailedError, match="10 students of a process need 138 open files"):
        await Crew([JOB.model_copy(update={"of": 1, "gateway": "http://127.0.0.1:1"})], lambda _: None).run()


async def test_a_run_that_is_ended_before_its_processes_are_ready_waits_for_them_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    says(monkeypatch, [News(ready=True)], [])
    crew_of_two = Crew([JOB, JOB], lambda _: None)
    running = asyncio.create_task(crew_of_two.run())
    await asyncio.wait({running}, timeout=0.2)
    assert not running.done()
    crew_of_two.end()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(RunFailedError, match="before anybody came"):
            await running


async def test_a_process_ends_with_its_input_while_the_gateway_lets_it_wait_for_its_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKEN_SECRET", "a secret of a test, longer than 32 bytes")
    asked = asyncio.Event()

    left = asyncio.Event()

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await reader.read()
        writer.close()
        left.set()

    server = await asyncio.start_server(never_answers, "127.0.0.1", 0)
    gateway = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    process = await crew._launch()
    try:
        async with asyncio.timeout(DEADLINE_S):
            crew._write(process, JOB.model_copy(update={"gateway": gateway, "of": 1}).model_dump_json())
            await asked.wait()
            assert process.stdin is not None
            process.stdin.close()
            assert await process.wait() == 0
            await left.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        server.close()
        await server.wait_closed()


async def test_a_process_that_says_that_it_failed_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, [News(ready=True), News(failed="why")], [News(ready=True)])
    with pytest.raises(RunFailedError, match="why"):
        await Crew([JOB, JOB], lambda _: None).run()
