"""`make demo`: a small university whose students chat over two edges, and one line a second about it."""

import asyncio
import random
import shlex
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from deploy.demo import small_talk
from deploy.demo.edge_count import EdgeCount
from deploy.demo.edge_scaling import EdgeScaling
from deploy.demo.figures import ByService, Figures, status_line
from deploy.demo.fill import InternalApi
from deploy.demo.local_system import LocalSystem
from deploy.demo.service_process import ServiceProcess
from deploy.demo.university import Student, University, small_university
from loadtest.chat_client import ChatClient
from loadtest.rest import RestApi
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from schemas.client_events import ChatMessage
from schemas.ids import new_id

CHATTING: Final = 40
COHORT: Final = "leic.bd"
"""Those who chat are of one course, so that they share their degree, courses and classes."""

LINE_EVERY_S: Final = 1.0
SCRAPE_TIMEOUT_S: Final = 3.0


class Talker:
    """A student who chats: sends messages now and then, and sometimes replies."""

    def __init__(self, client: ChatClient, groups: Sequence[str], talkers: int, seed: str) -> None:
        self._client = client
        self._groups = groups
        self._talkers = talkers
        self._rng = random.Random(seed)
        client.on_chat = self._read

    async def talk(self) -> None:
        """Talk until cancelled."""
        while True:
            await asyncio.sleep(small_talk.pause_s(self._rng))
            self._post(*small_talk.opening(self._rng, self._groups))

    def _read(self, message: ChatMessage) -> None:
        answer = small_talk.reply(self._rng, self._talkers) if message.up != self._client.up else None
        if answer is not None:
            after_s, text = answer
            asyncio.get_running_loop().call_later(after_s, self._post, message.room, text)

    def _post(self, room: str, text: str) -> None:
        self._client.post(room, text, message_id=new_id(), sent_at=int(time.time() * 1000))


async def run_campus(system: LocalSystem) -> None:
    """Fill the university, let students chat, and print a status line a second until cancelled."""
    university = small_university()
    timeout = aiohttp.ClientTimeout(total=SCRAPE_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        internal = InternalApi(session, system.internal_url, system.service_token)
        await internal.fill(university.groups, university.students)
        cohort = next(group.members for group in university.groups if group.id == COHORT)
        chatting = cohort[:CHATTING]
        # Small edges may have no capacity for all who chat until there are more of them.
        scaling = EdgeScaling(system, session, EdgeCount(least=len(system.edges)))
        async with (
            _in_background([scaling.run]),
            Students(_clients(system, session, chatting)) as students,
        ):
            await students.connect()
            talkers = [
                Talker(client, [group.id for group in university.groups_of(client.up)], CHATTING, client.up)
                for client in students.clients
            ]
            guest = next(one for one in university.students if one.up == cohort[-1])
            _print_urls(system, university, guest)
            async with _in_background([one.talk for one in talkers]):
                await _print_status(system, session)


@asynccontextmanager
async def _in_background(works: Iterable[Callable[[], Coroutine[Any, Any, None]]]) -> AsyncIterator[None]:
    """Run all of these for the length of the block; print an error if one fails."""
    tasks = [asyncio.create_task(work()) for work in works]
    for task in tasks:
        task.add_done_callback(_print_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _clients(system: LocalSystem, session: aiohttp.ClientSession, ups: Sequence[str]) -> list[ChatClient]:
    api, seen = RestApi(session, system.public_url), SeenFrames()
    clients = [ChatClient(up, system.mint_token(up), locate=api.locate, seen=seen) for up in ups]
    for client in clients:
        client.shows_online = True
    return clients


def _print_urls(system: LocalSystem, university: University, guest: Student) -> None:
    token = system.mint_token(guest.up)
    ops = {name: service.ops_url for name, service in system.services.items()}
    metrics = f"\n{' ' * 15}".join(f"{url}/metrics   of {name}" for name, url in ops.items())
    python = shlex.quote(sys.executable)
    print(
        f"""
{len(university.students)} students in {len(university.groups)} groups; {CHATTING} of them are chatting.

  web client   {system.public_url}/#token={token}
  API docs     {system.public_url}/docs   and the events of Socket.IO: {system.public_url}/asyncapi
  dispatcher   {ops["dispatcher"]}/   (operators' token: {system.dispatcher_token})
  table        {ops["dispatcher"]}/table   (Authorization: Bearer {system.dispatcher_token})
  internal API {system.internal_url}/docs   (Authorization: Bearer {system.service_token})
  metrics      {metrics}
  load test    TOKEN_SECRET={system.token_secret} {python} -m loadtest run smoke --gateway {system.public_url}

To try it in another terminal as {guest.name} ({guest.up}):

  export GATEWAY={system.public_url}
  export TOKEN={token}
  curl -H "Authorization: Bearer $TOKEN" $GATEWAY/chat/location

Everything else is in {system.log_dir}/. Ctrl-C stops.
""",
        flush=True,
    )


async def _print_status(system: LocalSystem, session: aiohttp.ClientSession) -> None:
    loop = asyncio.get_running_loop()
    before, read_at = await read_figures(system, session, {}), loop.time()
    ended: set[str] = set()
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        now, now_at = await read_figures(system, session, before), loop.time()
        print(f"{time.strftime('%H:%M:%S')}  {status_line(before, now, now_at - read_at)}", flush=True)
        before, read_at = now, now_at
        _print_ended(system, ended)


def _print_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        print(f"{task.get_coro()} has failed: {error!r}", flush=True)


def _print_ended(system: LocalSystem, reported: set[str]) -> None:
    """Print each process that has ended, once per start."""
    for process in (*system.services.values(), *system.backing.processes):
        if process.returncode is None:
            reported.discard(process.name)
        elif process.name not in reported:
            reported.add(process.name)
            ended = f"{process.name} has ended with status {process.returncode}"
            print("\n".join((ended, *process.last_log_lines())), flush=True)


async def read_figures(
    system: LocalSystem, session: aiohttp.ClientSession, before: ByService
) -> dict[str, Figures]:
    """Return the figures of all living services; the previous ones of a service that does not answer."""

    async def figures(service: ServiceProcess) -> Figures | None:
        try:
            async with session.get(f"{service.ops_url}/metrics") as response:
                return Figures.read(await response.text())
        except (aiohttp.ClientError, TimeoutError):
            return before.get(service.name)

    living = [service for service in system.services.values() if service.alive]
    read = await asyncio.gather(*(figures(service) for service in living))
    return {service.name: one for service, one in zip(living, read, strict=True) if one is not None}
