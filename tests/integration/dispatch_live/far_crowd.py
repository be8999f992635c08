"""Crowds in processes of their own, so that neither judging nor disturbing takes time from the students.

Each is a whole `Crowd` with groups of its own: it chats from the beginning, shows how its students fare when
it is asked, and in the end judges itself.
"""

import asyncio
import multiprocessing
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

import uvloop

from deploy.demo.local_system import OPEN_FILES, LocalSystem
from loadtest.open_files import allow_open_files
from loadtest.tokens import TokenSource
from tests.faults.crowd import Crowd, Size, open_crowd

END_DEADLINE_S: Final = 10.0
_SPAWN: Final = multiprocessing.get_context("spawn")


class CrowdFailed(AssertionError):
    """What a crowd's process ended with."""


class Student(NamedTuple):
    """How one student fares."""

    connections: int
    joined: bool
    holes: int


@dataclass(frozen=True)
class FarSystem:
    """A system as it is reached from another process."""

    public_url: str
    internal_url: str
    service_token: str
    mongodb_uri: str
    token_secret: str

    def mint_token(self, up: str) -> str:
        """Return a token that says that its bearer is ``up``."""
        return TokenSource(self.token_secret, {}).token(up)


class FarCrowds:
    """All students of all processes. Made by `open_far_crowds`."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    async def look(self) -> dict[str, Student]:
        """Return how everybody fares, by UP number."""
        shown: dict[str, Student] = {}
        for theirs in await self._ask_all("look"):
            shown |= theirs
        return shown

    async def losses(self) -> Counter[str]:
        """Return why connections have ended, and how often."""
        return sum(await self._ask_all("losses"), Counter[str]())

    async def judge(self) -> list[str]:
        """End the chat, settle and judge. Returns what was kept, else raises `CrowdFailed`."""
        return await self._ask_all("judge")

    async def _ask_all(self, question: str) -> list[Any]:
        for pipe in self._pipes:
            pipe.send(question)
        return [await asyncio.to_thread(_answer, pipe) for pipe in self._pipes]


@asynccontextmanager
async def open_far_crowds(system: LocalSystem, sizes: Sequence[Size]) -> AsyncIterator[FarCrowds]:
    """Start a process a crowd; they chat when this returns. At the end of the block none is left."""
    far = FarSystem(
        system.public_url, system.internal_url, system.service_token, system.mongodb_uri, system.token_secret
    )
    async with AsyncExitStack() as stack:
        pipes = [await stack.enter_async_context(_open_process(far, size)) for size in sizes]
        for pipe in pipes:
            await asyncio.to_thread(_answer, pipe)
        yield FarCrowds(pipes)


@asynccontextmanager
async def _open_process(far: FarSystem, size: Size) -> AsyncIterator[Connection]:
    ours, theirs = _SPAWN.Pipe()
    seed = random.SystemRandom().randrange(1, 2**31)
    process = _SPAWN.Process(target=_live, args=(theirs, far, seed, size), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        await asyncio.to_thread(process.join, END_DEADLINE_S)
        process.kill()


def _answer(pipe: Connection) -> Any:
    try:
        answer: Any = pipe.recv()
    except EOFError:
        raise CrowdFailed("a crowd's process has ended") from None
    if isinstance(answer, CrowdFailed):
        raise answer
    return answer


def _live(pipe: Connection, far: FarSystem, seed: int, size: Size) -> None:
    """Be the process of one crowd, until its pipe is closed."""
    allow_open_files(OPEN_FILES)
    try:
        uvloop.run(_chat(pipe, far, seed, size))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        pipe.send(CrowdFailed(f"FAULTS_SEED={seed}: {error}"))
        raise


async def _chat(pipe: Connection, far: FarSystem, seed: int, size: Size) -> None:
    async with open_crowd(far, seed, size) as crowd:
        async with crowd.chatting():
            pipe.send("chatting")
            while (asked := await asyncio.to_thread(pipe.recv)) != "judge":
                pipe.send(_answer_to(asked, crowd))
        pipe.send(await crowd.judge())
        while asked := await asyncio.to_thread(pipe.recv):
            pipe.send(_answer_to(asked, crowd))


def _answer_to(asked: str, crowd: Crowd) -> object:
    return Counter(crowd.recorder.losses) if asked == "losses" else _shown(crowd)


def _shown(crowd: Crowd) -> dict[str, Student]:
    return {
        up: Student(one.connections, one.joined.is_set(), len(one.holes)) for up, one in crowd.by_up.items()
    }
