"""``python -m loadtest.crowd_process``: one process of students. It reads its job from stdin.

It writes one JSON line a second (`loadtest.news`) to stdout, and errors to stderr.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import uvloop

from loadtest.crowd_run import CrowdRun
from loadtest.news import Job, News, Verdict
from loadtest.open_files import allow_open_files
from loadtest.rest import RestApi
from loadtest.tokens import DAY_S, open_tokens

OPEN_FILES: Final = 65_536
SPARE_FILES: Final = 128
"""Open files besides those of the students: up to 100 connections to the gateway, and the process's own."""


def send(news: News) -> None:
    """Write one line."""
    sys.stdout.write(news.model_dump_json(exclude_defaults=True) + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def _input() -> AsyncIterator[asyncio.StreamReader]:
    reader = asyncio.StreamReader(limit=2**20)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        yield reader
    finally:
        transport.close()


def _first_error(error: Exception) -> Exception:
    return _first_error(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


async def _main(open_files: float) -> None:
    async with _input() as lines, aiohttp.ClientSession() as session:
        job = Job.model_validate_json(await lines.readline())
        tokens = open_tokens(job.tokens_file, lasts_s=DAY_S + job.scenario.seconds)
        run = CrowdRun(job, tokens, RestApi(session, job.gateway), send)
        if (needed := run.students + SPARE_FILES) > open_files:
            raise ValueError(
                f"{run.students:,} students of a process need {needed:,} open files, and this machine allows"
                f" {open_files:,.0f}: raise its limit (ulimit -Hn), or use more processes"
            )
        starts_at = await _prepare(run, lines)
        verdict = None if starts_at is None else await _play(run, lines, starts_at)
        if verdict is not None:
            send(News(verdict=verdict))


async def _prepare(run: CrowdRun, lines: asyncio.StreamReader) -> float | None:
    """Prepare a run, and return when it begins; None if the starter is gone or ends it before."""
    preparing = asyncio.create_task(run.prepare())
    starting = asyncio.create_task(lines.readline())
    await asyncio.wait({preparing, starting}, return_when=asyncio.FIRST_COMPLETED)
    if not preparing.done():
        # A gateway may take long to answer.
        preparing.cancel()
        await asyncio.wait({preparing})
        return None
    preparing.result()
    send(News(ready=True))
    start = await starting
    return float(json.loads(start)) if start else None


async def _play(run: CrowdRun, lines: asyncio.StreamReader, starts_at: float) -> Verdict | None:
    """Return a run's verdict; None if the starter is gone: nobody would read it. A line ends sending."""
    playing = asyncio.create_task(run.play(starts_at))
    while not playing.done():
        reading = asyncio.create_task(lines.readline())
        await asyncio.wait({reading, playing}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            reading.cancel()
        elif reading.result():
            run.end()
        else:
            playing.cancel()
            await asyncio.wait({playing})
            return None
    return playing.result()


if __name__ == "__main__":
    try:
        uvloop.run(_main(allow_open_files(OPEN_FILES)))
    except (OSError, ValueError, ExceptionGroup) as error:
        send(News(failed=str(_first_error(error))))
        sys.exit(1)
