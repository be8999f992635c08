"""`make demo REPLAY=`: sends the messages of real logs at their times, then reads history and judges.

The load is open loop: a slow system does not delay the next message. Each student retries unacked messages
under their ids, a few at once.
"""

import asyncio
import gc
import time
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from deploy.demo.fill import InternalApi
from deploy.demo.local_system import LocalSystem
from deploy.demo.progress_bar import ProgressBar
from deploy.demo.replay_plan import ReplayPlan, plan_replay
from deploy.demo.verdict import Verdict, judge
from loadtest.chat_client import ChatClient
from loadtest.irc_logs import read_logs
from loadtest.outbox import Outgoing
from loadtest.rest import RestApi
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from schemas.client_events import ChatMessage, SendMessageOk
from schemas.ids import new_id

NO_PROGRESS_S: Final = 45.0
"""Waiting ends after so long without progress."""

POLL_S: Final = 0.25


@dataclass
class Records:
    """What the students received and got acked."""

    acks: dict[str, int] = field(default_factory=dict)
    ack_ms: list[float] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    streams: dict[str, dict[str, "array[int]"]] = field(default_factory=dict)
    delivered: int = 0
    """How many messages the students have received, all together: shown with each message that is posted."""

    def follow(self, client: ChatClient) -> None:
        """Record what a student receives and gets acked."""
        mine: dict[str, array[int]] = {}

        def on_chat(message: ChatMessage) -> None:
            self.delivered += 1
            try:
                mine[message.room].append(message.seq)
            except KeyError:
                mine[message.room] = array("q", [message.seq])
                self.streams.setdefault(message.room, {})[client.up] = mine[message.room]

        def on_acked(message: Outgoing, ok: SendMessageOk) -> None:
            self.acks[message.id] = ok.seq
            self.ack_ms.append(time.time() * 1000 - message.sent_at)

        def on_refused(message: Outgoing, code: str) -> None:
            self.refused[message.id] = code

        client.on_chat, client.on_acked, client.on_refused = on_chat, on_acked, on_refused


def plan_of(folder: Path, speed: float | None) -> ReplayPlan:
    """Return the plan of a folder's logs. Raises ValueError where there is no message in it, or OSError."""
    return plan_replay(read_logs(folder), run=new_id()[:8], speed=speed)


async def run_replay(system: LocalSystem, plan: ReplayPlan) -> Verdict:
    """Replay, judge, and print the figures; the last line is the caller's to print."""
    records, seen = Records(), SeenFrames(max_kept=4 * len(plan.lines) + 1000)
    async with aiohttp.ClientSession() as session:
        internal = InternalApi(session, system.internal_url, system.service_token)
        bar = ProgressBar("filling   ", len(plan.groups) + len(plan.students))
        await _with_bar(bar, lambda tick: internal.fill(plan.groups, plan.students, tick))
        api = RestApi(session, system.public_url)
        clients = [
            ChatClient(student.up, system.mint_token(student.up), locate=api.locate, seen=seen)
            for student in plan.students
        ]
        for client in clients:
            records.follow(client)
        async with Students(clients) as students:
            bar = ProgressBar("connecting", len(clients))
            await _with_bar(bar, students.connect)
            await _until_in_all_rooms(plan, clients)
            starts = _starts(clients)
            await _post_all(plan, {client.up: client for client in clients}, records)
            await _until_settled(plan, students, records)
            history = await _read_history(plan, system, api, records, starts)
        verdict = judge(
            lines=plan.lines,
            members={group.id: group.members for group in plan.groups},
            acks=records.acks,
            streams=records.streams,
            received=seen.values(),
            history=history,
            exact_times=system.backing.kafka_durable,
        )
        _print_figures(plan, records, clients)
        _print_verdict(verdict, records)
        return verdict


async def _with_bar(bar: ProgressBar, work: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        bar.show(done)

    await work(tick)
    bar.finish(done)


async def _until_in_all_rooms(plan: ReplayPlan, clients: Sequence[ChatClient]) -> None:
    """Wait until all are in their rooms: an edge may read a membership after its student has connected."""
    rooms: dict[str, set[str]] = {client.up: set() for client in clients}
    for group in plan.groups:
        for up in group.members:
            rooms[up].add(group.id)

    def outside() -> int:
        return sum(not rooms[client.up] <= client.cursors.keys() for client in clients)

    if not await _until_no_change(lambda: outside() == 0, outside):
        raise RuntimeError(f"{outside()} students were not let into all of their groups")


def _starts(clients: Sequence[ChatClient]) -> dict[str, int]:
    """Return by room the seq after which this replay's messages are."""
    starts: dict[str, int] = {}
    for client in clients:
        for room, head in client.cursors.items():
            starts[room] = min(head, starts.get(room, head))
    return starts


async def _post_all(plan: ReplayPlan, clients: dict[str, ChatClient], records: Records) -> None:
    bar = ProgressBar("replaying ", len(plan.lines))
    # Exclude what lives for the whole replay from garbage collection.
    gc.collect()
    gc.freeze()
    loop = asyncio.get_running_loop()
    started = loop.time()
    for posted, (message_id, line) in enumerate(plan.lines.items(), start=1):
        wait_s = started + line.at_s - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        clients[line.up].post(line.room, line.text, message_id=message_id, sent_at=int(time.time() * 1000))
        bar.show(posted, _note(records))
    bar.finish(len(plan.lines), _note(records))


def _note(records: Records) -> str:
    return f"acked {len(records.acks):,} · delivered {records.delivered:,}"


async def _until_settled(plan: ReplayPlan, students: Students, records: Records) -> None:
    """Wait for the last acks and deliveries, while there is progress."""
    bar = ProgressBar("delivering", plan.deliveries)

    def settled() -> bool:
        students.check()
        bar.show(records.delivered)
        answered = len(records.acks) + len(records.refused)
        return answered >= len(plan.lines) and records.delivered >= plan.deliveries

    await _until_no_change(settled, lambda: (records.delivered, len(records.acks)))
    # A doubled message may arrive a moment after everything has arrived once.
    await asyncio.sleep(1.0)
    bar.finish(records.delivered)


async def _read_history(
    plan: ReplayPlan, system: LocalSystem, api: RestApi, records: Records, starts: dict[str, int]
) -> dict[str, list[ChatMessage]]:
    """Wait until all that was acked is stored, then read it group by group, as its first member."""
    last: dict[str, int] = {}
    for message_id, seq in records.acks.items():
        room = plan.lines[message_id].room
        last[room] = max(seq, last.get(room, -1))
    history: dict[str, list[ChatMessage]] = {}
    bar = ProgressBar("reading   ", len(plan.groups))
    for group in plan.groups:
        token = system.mint_token(group.members[0])
        await _until_stored(api, group.id, token, last.get(group.id, -1))
        history[group.id] = await api.history(group.id, token, after=starts[group.id])
        bar.show(len(history))
    bar.finish(len(history))
    return history


async def _until_stored(api: RestApi, group: str, token: str, seq: int) -> None:
    stored, moved_at = -1, time.monotonic()
    while stored < seq and time.monotonic() - moved_at < NO_PROGRESS_S:
        with suppress(OSError):  # history may be away for a while; a hole in it is counted at the end
            page = await api.page(group, token, after=seq, per_page=1)
            if page.storedUpTo > stored:
                stored, moved_at = page.storedUpTo, time.monotonic()
        if stored < seq:
            await asyncio.sleep(POLL_S)


async def _until_no_change(done: Callable[[], bool], value: Callable[[], object]) -> bool:
    """Wait until ``done``, at most until ``value`` has not changed for `NO_PROGRESS_S`. Returns done."""
    last, moved_at = value(), time.monotonic()
    while not done():
        await asyncio.sleep(POLL_S)
        if (now := value()) != last:
            last, moved_at = now, time.monotonic()
        elif time.monotonic() - moved_at > NO_PROGRESS_S:
            return False
    return True


def _print_figures(plan: ReplayPlan, records: Records, clients: Sequence[ChatClient]) -> None:
    millis = sorted(records.ack_ms)
    if millis:
        half, most = millis[len(millis) // 2], millis[int(len(millis) * 0.99)]
        print(f"\nfrom posting to the durable ack: p50 {half:.0f} ms, p99 {most:.0f} ms")
    retries = sum(client.outbox.retries for client in clients)
    reconnects = sum(client.connections - 1 for client in clients)
    holes = sum(len(client.holes) for client in clients)
    print(
        f"{plan.lasts_s:.0f} s of replay, {plan.deliveries / max(1.0, plan.lasts_s):,.0f} deliveries/s; "
        f"{retries:,} retries, {reconnects:,} reconnects, {holes:,} holes"
    )


def _print_verdict(verdict: Verdict, records: Records) -> None:
    for code, count in sorted(Counter(records.refused.values()).items()):
        print(f"refused with {code}: {count:,}")
    print(
        f"\nsent {verdict.sent:,} · acked {verdict.acked:,}"
        f" · delivered {verdict.delivered:,} of {verdict.expected:,} · stored {verdict.stored:,}"
        f" · missing {verdict.missing:,} · doubled {verdict.doubled:,}"
        f" · out of order {verdict.out_of_order:,}",
        flush=True,
    )
