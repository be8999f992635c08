"""One run of one process's students: groups are made, then they come, talk, settle and are judged.

Once a second it tells what has happened (`loadtest.news`).
"""

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from loadtest import schedule
from loadtest.crowd import Crowd, Group, make_crowd, replay_crowd
from loadtest.irc_logs import read_logs
from loadtest.live_crowd import LiveCrowd
from loadtest.memory import Memory
from loadtest.news import COUNTS, LATENCIES, Job, News, Second, Verdict
from loadtest.rest import RestApi
from loadtest.scenario import Scenario
from loadtest.stored_check import StoredCheck, UnreadError
from loadtest.tokens import TokenSource

log = logging.getLogger(__name__)

CREATING_AT_ONCE: Final = 48
SETTLE_POLL_S: Final = 0.5
PASS_S: Final = 0.004
"""A busy process looks at its connections so often, unless that takes it longer. It then reads many at once,
which costs a quarter less CPU; what is sent and what comes is counted as later by at most as much."""
PAUSES_FROM_PER_S: Final = 5_000
"""Deliveries a second of a process from which on it pauses: where little comes, latencies are exact."""


class CrowdRun:
    """The run that a job asks for; ``say`` takes its news."""

    def __init__(self, job: Job, tokens: TokenSource, api: RestApi, say: Callable[[News], None]) -> None:
        self._job = job
        self._tokens = tokens
        self._api = api
        self._say = say
        self._scenario = job.scenario
        self._crowd, self._lines = _plan(self._scenario, job, tokens.ups)
        self._started = 0.0
        # The students of a token file are somebody: a probe may be one of them, and people may write to them.
        ours = f"load-{job.run}-" if tokens.ups else ""
        prefix = f"{job.run}-{job.number}-"
        self._memory = Memory(self._crowd.rooms, self._clock, ours=ours)
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
        _leave_alone_what_stays()
        self._told.cpu_s = time.process_time()
        try:
            async with asyncio.TaskGroup() as running:
                beside = [running.create_task(work) for work in (self._report(), self._pause())]
                edges_faults = await self._play(running)
                history = await self._compare_history()
                for task in beside:
                    task.cancel()
                self._tell(int(self._clock()))
        finally:
            await self._live.close()
        return self._verdict({**asdict(self._memory.verdict()), **edges_faults, **history})

    def end(self) -> None:
        """Let nobody come and nothing be said any more; who has come and what was said are judged."""
        self._ended = True
        for task in self._planning:
            task.cancel()

    async def _play(self, running: asyncio.TaskGroup) -> dict[str, int]:
        """Let students come and talk, and everything arrive. Return what edges did wrong to them."""
        arrivals = schedule.arrivals(self._scenario, len(self._crowd.students))
        coming = running.create_task(self._live.come(arrivals))
        self._planning.append(coming)
        await self._talk()
        await self._settle(coming)
        coming.cancel()
        absent = (self._live.began if self._ended else len(arrivals)) - self._live.came
        offline = absent + self._live.came - self._live.online
        if offline and (absent or self._memory.outstanding()):
            log.error("%d students were offline in the end: %s", offline, self._live.failed_because)
        not_understood = self._live.not_understood
        if not_understood:
            log.error("%d times an edge was not understood: %s", len(not_understood), not_understood[0])
        return {"absent": absent, "not_understood": len(not_understood)}

    async def _talk(self) -> None:
        seed = f"{self._job.run} {self._job.number}"
        students = self._crowd.students
        async with asyncio.TaskGroup() as playing:
            for part in (
                self._live.talk(self._lines),
                self._live.lose(schedule.losses(self._scenario, students, seed)),
                asyncio.sleep(max(0.0, self._scenario.seconds - self._clock())),
            ):
                self._planning.append(playing.create_task(part))

    async def _compare_history(self) -> dict[str, Any]:
        """Return the verdict on history."""
        self._waits_for = "the store"
        groups = self._crowd.groups[: self._scenario.check_history]
        try:
            lacking, wrong = await self._stored.compare(groups, self._memory.seqs)
        except UnreadError as error:
            return {"history_checked": 0, "unread": str(error)}
        return {"history_checked": len(groups), "not_stored": lacking, "stored_wrong": wrong}

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
                self._say(News(failed=self._live.failure))
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
        self._say(News(second=total.model_copy(update=since)))
        self._is_busy = since["received"] > PAUSES_FROM_PER_S
        self._told = total

    def _totals(self, at: int) -> Second:
        self._live.shared_batches.count_all()
        memory = self._memory
        return Second(
            at=at,
            online=self._live.online,
            planned=self._live.planned,
            acked=memory.acked,
            refused=memory.refused,
            repeated=self._live.repeated,
            received=memory.received,
            cpu_s=time.process_time(),
            waits_for=self._waits_for,
            **{name: getattr(memory, name).take().pairs() for name in LATENCIES},
        )

    def _verdict(self, judged: dict[str, Any]) -> Verdict:
        return Verdict(
            students=len(self._crowd.students),
            said=self._live.planned,
            acked=self._memory.acked,
            received=self._memory.received,
            refused=self._memory.refused,
            holes=self._live.holes,
            connections=self._live.connections,
            cpu_s=time.process_time(),
            **judged,
        )

    def _clock(self) -> float:
        return time.monotonic() - self._started


def _leave_alone_what_stays() -> None:
    """Keep the garbage collector from scanning, again and again, what was set up for the whole run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _plan(scenario: Scenario, job: Job, ups: Sequence[str]) -> tuple[Crowd, Iterable[schedule.Line]]:
    if scenario.replay is None:
        crowd = make_crowd(scenario, job.run, job.number, job.of, ups)
        return crowd, schedule.talk(scenario, crowd, f"{job.run} {job.number}")
    logs = read_logs(scenario.replay.folder)
    crowd, by_nick = replay_crowd(logs, job.run, ups)
    starts_s = sum(phase.seconds for phase in scenario.phases)
    rooms = [group.id for group in crowd.groups]
    return crowd, schedule.replayed(logs, rooms, by_nick, starts_s, scenario.replay.seconds)
