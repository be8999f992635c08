"""One run of one process's students: create groups, connect, send, wait until settled, judge.

Once a second it reports the counts of that second (`loadtest.news`).
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
from loadtest.stored_check import StoredCheck, UnreadError
from loadtest.tokens import TokenSource

log = logging.getLogger(__name__)

CREATING_AT_ONCE: Final = 48
SETTLE_POLL_S: Final = 0.5
PASS_S: Final = 0.004
"""How often a busy process serves its connections. It then reads many at once, for a quarter less CPU;
measured latencies are longer by at most as much."""
PAUSES_FROM_PER_S: Final = 5_000
"""Deliveries per second from which on a process pauses: below, latencies are exact."""


class CrowdRun:
    """The run that a job asks for; ``send`` takes its news."""

    def __init__(self, job: Job, tokens: TokenSource, api: RestApi, send: Callable[[News], None]) -> None:
        self._job = job
        self._tokens = tokens
        self._api = api
        self._send = send
        self._scenario = job.scenario
        self._crowd, self._lines = _plan(job, tokens.ups)
        self._started = 0.0
        # The students of a token file exist: a probe may be one of them, and others may write to them.
        group_prefix = f"load-{job.run}-" if tokens.ups else ""
        self._memory = Memory(self._crowd.rooms, self._clock, group_prefix=group_prefix)
        self._live = LiveCrowd(
            self._crowd.students,
            tokens.token,
            api.locate,
            self._memory,
            prefix=f"{job.run}-{job.number}-",
            clock=self._clock,
        )
        self._stored = StoredCheck(api, tokens.token, self._clock, self._memory.is_as_sent)
        self._last_totals = Second(at=0)
        self._is_busy = False
        self._waits_for = ""
        self._planning: list[asyncio.Task[None]] = []
        self._ended = False

    @property
    def students(self) -> int:
        """How many students it has."""
        return len(self._crowd.students)

    async def prepare(self) -> None:
        """Create the groups. Raises OSError if one cannot be created."""
        places = asyncio.Semaphore(CREATING_AT_ONCE)

        async def create(group: Group) -> None:
            async with places:
                token = self._tokens.token(group.members[0])
                await self._api.create_group(group.id, group.members, token)

        await asyncio.gather(*(create(group) for group in self._crowd.groups))

    async def play(self, starts_at: float) -> Verdict:
        """Run from ``starts_at`` (seconds since 1970) to the verdict."""
        self._started = time.monotonic() + (starts_at - time.time())
        _freeze_gc()
        self._last_totals.cpu_s = time.process_time()
        try:
            async with asyncio.TaskGroup() as running:
                background = [running.create_task(work) for work in (self._send_seconds(), self._pause())]
                edges_faults = await self._play(running)
                history = await self._compare_history()
                for task in background:
                    task.cancel()
                self._send_second(int(self._clock()))
        finally:
            await self._live.close()
        return self._verdict({**asdict(self._memory.verdict()), **edges_faults, **history})

    def end(self) -> None:
        """Stop connecting and sending. What has happened so far is judged."""
        self._ended = True
        for task in self._planning:
            task.cancel()

    async def _play(self, running: asyncio.TaskGroup) -> dict[str, int]:
        """Connect students, send, and wait until all has arrived. Return faults of connections."""
        arrivals = schedule.arrivals(self._scenario, len(self._crowd.students))
        coming = running.create_task(self._live.connect_all(arrivals))
        self._planning.append(coming)
        await self._talk()
        await self._settle(coming)
        coming.cancel()
        absent = (self._live.connects_begun if self._ended else len(arrivals)) - self._live.came
        offline = absent + self._live.came - self._live.online
        if offline and (absent or self._memory.outstanding()):
            log.error("%d students were offline in the end: %s", offline, self._live.failed_because)
        if self._memory.refused:
            log.error("%d messages were refused: %s", self._memory.refused, self._live.refused_because)
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
                self._live.drop_connections(schedule.losses(self._scenario, students, seed)),
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
        """Wait until all have connected and received everything, or nothing has changed for a while."""
        self._waits_for = "students, acks and deliveries"
        progress, changed_at = -1, self._clock()
        while self._clock() - changed_at < self._scenario.settle_s:
            self._live.note_holes()
            all_came = coming.done() and self._live.came == self._live.connects_begun
            if all_came and self._memory.outstanding() == 0:
                return
            if (now := self._live.came + self._memory.received + self._memory.acked) != progress:
                progress, changed_at = now, self._clock()
            await asyncio.sleep(SETTLE_POLL_S)

    async def _send_seconds(self) -> None:
        """Report once a second, until cancelled or a student has ended."""
        for at in range(sys.maxsize):
            await asyncio.sleep(max(0.0, at + 1 - self._clock()))
            if self._live.failure is not None:
                self._send(News(failed=self._live.failure))
                return
            self._send_second(at)
            self._memory.forget_old()

    async def _pause(self) -> None:
        """Sleep between passes of the loop while busy, so that each pass reads more data at once."""
        while True:
            if self._is_busy:
                began = time.monotonic()
                await asyncio.sleep(0)
                # Block on purpose: nothing else must run meanwhile.
                time.sleep(max(0.0, began + PASS_S - time.monotonic()))  # noqa: ASYNC251
            else:
                await asyncio.sleep(SETTLE_POLL_S)

    def _send_second(self, at: int) -> None:
        """Report the changes since the last call."""
        total, before = self._totals(at), self._last_totals
        since = {name: getattr(total, name) - getattr(before, name) for name in COUNTS}
        self._send(News(second=total.model_copy(update=since)))
        self._is_busy = since["received"] > PAUSES_FROM_PER_S
        self._last_totals = total

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
            students=self.students,
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


def _freeze_gc() -> None:
    """Exclude what lives for the whole run from garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _plan(job: Job, ups: Sequence[str]) -> tuple[Crowd, Iterable[schedule.Line]]:
    scenario = job.scenario
    if scenario.replay is None:
        crowd = make_crowd(scenario, job.run, job.number, job.of, ups)
        return crowd, schedule.talk(scenario, crowd, f"{job.run} {job.number}")
    logs = read_logs(scenario.replay.folder)
    crowd, by_nick = replay_crowd(logs, job.run, ups)
    starts_s = sum(phase.seconds for phase in scenario.phases)
    rooms = [group.id for group in crowd.groups]
    return crowd, schedule.replayed(logs, rooms, by_nick, starts_s, scenario.replay.seconds)
