"""Starts the processes of a load test at the same moment, and adds up their seconds."""

import asyncio
import json
import math
import sys
import time
from collections.abc import Callable
from typing import Final

from loadtest.latency import Latencies
from loadtest.news import COUNTS, LATENCIES, Job, News, Second, Verdict

START_IN_S: Final = 1.0
STOP_DEADLINE_S: Final = 5.0
END: Final = "end"
"""The command to a process to stop sending, and to report its verdict."""

MAX_LINE_BYTES: Final = 2**22


class RunFailedError(Exception):
    """A process of students failed; the text says why."""


class Crew:
    """Calls ``on_second`` for each second, in order, once all running processes have reported it."""

    def __init__(self, jobs: list[Job], on_second: Callable[[Second], None]) -> None:
        self._jobs = jobs
        self._on_second = on_second
        self._seconds: dict[int, dict[int, Second]] = {}
        self._running = set(range(len(jobs)))
        self._processes: list[asyncio.subprocess.Process] = []
        self.starts_at = math.inf
        """When the run's clock begins, by our monotonic one, once it is known."""
        self._ended = asyncio.Event()

    async def run(self) -> list[Verdict]:
        """Return all verdicts. Raises `RunFailedError`; no process is left when it returns."""
        try:
            for _ in self._jobs:
                self._processes.append(await _launch())
            for process, job in zip(self._processes, self._jobs, strict=True):
                _write(process, job.model_dump_json())
            await self._until_ready()
            self.starts_at = time.monotonic() + START_IN_S
            starts_at = json.dumps(time.time() + START_IN_S)
            for process in self._processes:
                _write(process, starts_at)
            following = (self._follow(number, process) for number, process in enumerate(self._processes))
            return await asyncio.gather(*following)
        finally:
            await asyncio.gather(*(_end(process) for process in self._processes))

    def end(self) -> None:
        """Stop sending; `run` returns once what was sent has arrived and is judged.

        Before the start there is nothing to judge: then `run` raises `RunFailedError`.
        """
        self._ended.set()
        if self.starts_at < math.inf:
            for process in self._processes:
                _write(process, END)

    async def _until_ready(self) -> None:
        ready = asyncio.create_task(self._all_ready())
        ending = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait({ready, ending}, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.is_set():
                raise RunFailedError("it was ended before anybody came: there is nothing to judge")
            ready.result()
        finally:
            ready.cancel()
            ending.cancel()

    async def _all_ready(self) -> None:
        await asyncio.gather(*(_read_news(process) for process in self._processes))

    async def _follow(self, number: int, process: asyncio.subprocess.Process) -> Verdict:
        while True:
            news = await _read_news(process)
            if news.second is not None:
                self._seconds.setdefault(news.second.at, {})[number] = news.second
            if news.verdict is not None:
                self._running.discard(number)
            self._emit_seconds()
            if news.verdict is not None:
                return news.verdict

    def _emit_seconds(self) -> None:
        """Emit the seconds that all running processes have reported: some run longer than others."""
        for at in sorted(self._seconds):
            if not self._running <= self._seconds[at].keys():
                break
            self._on_second(sum_seconds(list(self._seconds.pop(at).values())))


def sum_seconds(seconds: list[Second]) -> Second:
    """Return the sum of one second of several processes."""
    total = Second(at=seconds[0].at)
    for name in ("online", *COUNTS):
        setattr(total, name, sum(getattr(second, name) for second in seconds))
    for name in LATENCIES:
        latencies = Latencies()
        for second in seconds:
            latencies.add(Latencies(getattr(second, name)))
        setattr(total, name, latencies.pairs())
    total.waits_for = ", ".join(dict.fromkeys(second.waits_for for second in seconds if second.waits_for))
    return total


async def _launch() -> asyncio.subprocess.Process:
    """Start a process in a session of its own: a Ctrl-C in the terminal reaches only this process."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "loadtest.crowd_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MAX_LINE_BYTES,
        start_new_session=True,
    )


def _write(process: asyncio.subprocess.Process, line: str) -> None:
    if process.stdin is not None and not process.stdin.is_closing():
        process.stdin.write(line.encode() + b"\n")


async def _read_news(process: asyncio.subprocess.Process) -> News:
    """Return the next line. Raises `RunFailedError` if there is none, or if it reports a failure."""
    line = await process.stdout.readline() if process.stdout is not None else b""
    if not line:
        raise RunFailedError(f"a process of students ended with status {await process.wait()}")
    news = News.model_validate_json(line)
    if news.failed is not None:
        raise RunFailedError(news.failed)
    return news


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process by closing its stdin; kill it after a deadline."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_DEADLINE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
