"""``python -m loadtest.crowd_process``: one process of students. It takes its job from its input.

It says one JSON line a second (`loadtest.news`) and nothing else; errors go to stderr.
"""

import asyncio
import gc
import json
import logging
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

import aiohttp
import uvloop

from loadtest import irc_logs, schedule
from loadtest.crowd import Crowd, Group, make_crowd, replay_crowd
from loadtest.irc_logs import IrcMessage
from loadtest.live_crowd import LiveCrowd
from loadtest.memory import Memory
from loadtest.news import COUNTS, LATENCIES, Job, News, Second, Verdict
from loadtest.rest import RestApi
from loadtest.scenario import Scenario
from loadtest.stored_check import Stored, StoredCheck, UnreadError
from loadtest.tokens import DAY_S, TokenSource, open_tokens

log = logging.getLogger(__name__)

CREATING_AT_ONCE: Final = 48
OPEN_FILES: Final = 65_536
SETTLE_POLL_S: Final = 0.5
PASS_S: Final = 0.004
"""A busy process looks at its connections so often, unless that takes it longer. It then reads many at once,
which costs a quarter less CPU; what is sent and what comes is counted as later by at most as much."""
PAUSES_FROM_PER_S: Final = 5_000
"""Deliveries a second of a process from which on it pauses: where little comes, latencies are exact."""


class CrowdProcess:
    """One run of one process: create groups, wait for the start, play, settle, judge."""

    def __init__(self, job: Job, tokens: TokenSource, api: RestApi) -> None:
        self._job = job
        self._tokens = tokens
        self._api = api
        self._scenario = job.scenario
        self._crowd, self._lines = _plan(self._scenario, job, tokens.ups)
        self._started = 0.0
        # The students of a token file are somebody: a probe may be one of them, and people may write to them.
        ours = f"load-{job.run}-" if tokens.ups else ""
        prefix = f"{job.run}-{job.number}-"
        self._memory = Memory(self._crowd.rooms, self._clock, prefix=prefix, ours=ours)
        self._live = LiveCrowd(
            self._crowd.students,
            tokens.token,
            api.locate,
            self._memory,
            prefix=prefix,
            clock=self._clock,
        )
        self._stored = StoredCheck(api, tokens.token, self._clock, self._memory.is_as_said)
        self._told = Second(at=0)
        self._is_busy = False
        self._waits_for = ""
        self._planning: list[asyncio.Task[None]] = []
        self._ended = False

    async def prepare(self) -> None:
        """Create the groups. Raises OSError where one cannot be had."""
        places = asyncio.Semaphore(CREATING_AT_ONCE)

        async def create(group: Group) -> None:
            async with places:
                token = self._tokens.token(group.members[0])
                await self._api.create_group(group.id, group.members, token)

        await asyncio.gather(*(create(group) for group in self._crowd.groups))

    async def play(self, starts_at: float) -> Verdict:
        """Run from ``starts_at`` (seconds since 1970) to the verdict."""
        self._started = time.monotonic() + (starts_at - time.time())
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        self._told.cpu_s = time.process_time()
        try:
            async with asyncio.TaskGroup() as running:
                reporting = running.create_task(self._report())
                pausing = running.create_task(self._pause())
                arrivals = schedule.arrivals(self._scenario, len(self._crowd.students))
                coming = running.create_task(self._live.come(arrivals))
                self._planning.append(coming)
                await self._play()
                await self._settle(coming)
                coming.cancel()
                absent = (self._live.began if self._ended else len(arrivals)) - self._live.came
                if absent:
                    log.error("%d students were never let in: %s", absent, self._live.failed_because)
                not_understood = self._live.not_understood
                if not_understood:
                    log.error(
                        "%d times an edge was not understood: %s", len(not_understood), not_understood[0]
                    )
                history_checked, stored, unread = await self._compare_history()
                reporting.cancel()
                pausing.cancel()
                self._tell(int(self._clock()))
        finally:
            await self._live.close()
        memory = self._memory
        faults = asdict(memory.verdict())
        faults["not_stored"], faults["stored_wrong"] = stored
        return Verdict(
            students=len(self._crowd.students),
            said=self._live.planned,
            acked=memory.acked,
            received=memory.received,
            refused=memory.refused,
            absent=absent,
            holes=self._live.holes,
            not_understood=len(not_understood),
            connections=self._live.connections,
            history_checked=history_checked,
            unread=unread,
            cpu_s=time.process_time(),
            **faults,
        )

    def end(self) -> None:
        """Let nobody come and nothing be said any more; who has come and what was said are judged."""
        self._ended = True
        for task in self._planning:
            task.cancel()

    async def _play(self) -> None:
        seed = f"{self._job.run} {self._job.number}"
        students = self._crowd.students
        async with asyncio.TaskGroup() as playing:
            for part in (
                self._live.talk(self._lines),
                self._live.lose(schedule.losses(self._scenario, students, seed)),
                asyncio.sleep(max(0.0, self._scenario.seconds - self._clock())),
            ):
                self._planning.append(playing.create_task(part))

    async def _compare_history(self) -> tuple[int, Stored, str]:
        """Return of how many groups it was compared, what is wrong, and why it could not be read, if so."""
        self._waits_for = "the store"
        groups = self._crowd.groups[: self._scenario.check_history]
        try:
            return len(groups), await self._stored.compare(groups, self._memory.seqs), ""
        except UnreadError as error:
            return 0, Stored(), str(error)

    async def _settle(self, coming: asyncio.Task[None]) -> None:
        """Wait until everybody and everything has come, or nothing has for a while."""
        self._waits_for = "students, acks and deliveries"
        news, since = -1, self._clock()
        while self._clock() - since < self._scenario.settle_s:
            self._live.note_holes()
            all_came = coming.done() and self._live.came == self._live.began
            if all_came and self._memory.outstanding() == 0:
                return
            if (now := self._live.came + self._memory.received + self._memory.acked) != news:
                news, since = now, self._clock()
            await asyncio.sleep(SETTLE_POLL_S)

    async def _report(self) -> None:
        """Say once a second what has happened."""
        for at in range(sys.maxsize):
            await asyncio.sleep(max(0.0, at + 1 - self._clock()))
            if self._live.failure is not None:
                say(News(failed=self._live.failure))
                return
            self._tell(at)
            self._memory.forget_old()

    async def _pause(self) -> None:
        """Let data gather while much of it comes. A pass of the loop reads and works off what there is."""
        while True:
            if self._is_busy:
                began = time.monotonic()
                await asyncio.sleep(0)
                # Nothing else is to happen meanwhile.
                time.sleep(max(0.0, began + PASS_S - time.monotonic()))  # noqa: ASYNC251
            else:
                await asyncio.sleep(SETTLE_POLL_S)

    def _tell(self, at: int) -> None:
        """Say what has happened since this was called last."""
        total, before = self._totals(at), self._told
        since = {name: getattr(total, name) - getattr(before, name) for name in COUNTS}
        say(News(second=total.model_copy(update=since)))
        self._is_busy = since["received"] > PAUSES_FROM_PER_S
        self._told = total

    def _totals(self, at: int) -> Second:
        self._live.shared_runs.count_all()
        memory = self._memory
        return Second(
            at=at,
            online=self._live.online,
            planned=self._live.planned,
            acked=memory.acked,
            refused=memory.refused,
            repeated=self._live.repeated,
            received=memory.received,
            reconnects=self._live.connections,
            cpu_s=time.process_time(),
            waits_for=self._waits_for,
            **{name: getattr(memory, name).take().pairs() for name in LATENCIES},
        )

    def _clock(self) -> float:
        return time.monotonic() - self._started


def _plan(scenario: Scenario, job: Job, ups: Sequence[str]) -> tuple[Crowd, Iterator[schedule.Line]]:
    if scenario.replay is None:
        crowd = make_crowd(scenario, job.run, job.number, job.of, ups)
        return crowd, schedule.talk(scenario, crowd, f"{job.run} {job.number}")
    logs = _read_logs(scenario.replay.folder)
    crowd, by_nick = replay_crowd(logs, job.run, ups)
    starts_s = sum(phase.seconds for phase in scenario.phases)
    return crowd, schedule.replayed(logs, crowd, by_nick, starts_s, scenario.replay.seconds)


def _read_logs(folder: Path) -> Mapping[str, list[IrcMessage]]:
    logs = {file.name: irc_logs.parse(file.read_bytes()) for file in sorted(folder.glob("*.log"))}
    found = {name: log for name, log in logs.items() if log}
    if not found:
        raise ValueError(f"{folder} holds no *.log with lines like [12:34] <nick> text")
    return found


def say(news: News) -> None:
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


def _first(error: Exception) -> Exception:
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


async def _main() -> None:
    async with _input() as lines, aiohttp.ClientSession() as session:
        job = Job.model_validate_json(await lines.readline())
        lasts_s = DAY_S + job.scenario.seconds
        tokens = open_tokens(Path(job.tokens_file) if job.tokens_file else None, lasts_s=lasts_s)
        process = CrowdProcess(job, tokens, RestApi(session, job.gateway))
        preparing = asyncio.create_task(process.prepare())
        starting = asyncio.create_task(lines.readline())
        await asyncio.wait({preparing, starting}, return_when=asyncio.FIRST_COMPLETED)
        if not preparing.done():
            # Nobody waits for us any more, and a gateway may let us wait for long.
            preparing.cancel()
            await asyncio.wait({preparing})
            return
        preparing.result()
        say(News(ready=True))
        start = await starting
        if not start:
            return
        starts_at = float(json.loads(start))
        playing = asyncio.create_task(process.play(starts_at))
        while not playing.done():
            told = asyncio.create_task(lines.readline())
            await asyncio.wait({told, playing}, return_when=asyncio.FIRST_COMPLETED)
            if not told.done():
                told.cancel()
            elif told.result():
                process.end()
            else:
                # Our input ends when whoever started us is gone: then nobody wants our verdict.
                playing.cancel()
                await asyncio.wait({playing})
                return
        say(News(verdict=playing.result()))


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        uvloop.run(_main())
    except (OSError, ValueError, ExceptionGroup) as error:
        say(News(failed=str(_first(error))))
        sys.exit(1)
