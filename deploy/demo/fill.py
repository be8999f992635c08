"""Writes groups, memberships and names through the internal API, as the solution's services do."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final

import aiohttp

from deploy.demo.university import PlannedGroup, Student
from loadtest.rest import RestApi

AT_ONCE: Final = 64


class InternalApi:
    """Calls the internal API at ``base_url``. Writes are idempotent.

    Raises OSError if a write is refused for good, or for longer than `RestApi` retries.
    """

    def __init__(self, session: aiohttp.ClientSession, base_url: str, service_token: str) -> None:
        self._api = RestApi(session, base_url)
        self._token = service_token

    async def fill(
        self,
        groups: Iterable[PlannedGroup],
        students: Iterable[Student],
        progress: Callable[[], object] = lambda: None,
    ) -> None:
        """Create all groups and name all students; ``progress`` is called after each.

        Raises RuntimeError with the first write that failed.
        """
        slots = asyncio.Semaphore(AT_ONCE)

        async def write_in_turn(write: Callable[[], Awaitable[None]]) -> None:
            async with slots:
                await write()
                progress()

        try:
            async with asyncio.TaskGroup() as tasks:
                for group in groups:
                    tasks.create_task(write_in_turn(partial(self.create, group)))
                for student in students:
                    tasks.create_task(write_in_turn(partial(self.set_names, student)))
        except ExceptionGroup as failed:
            raise RuntimeError(str(failed.exceptions[0])) from failed

    async def create(self, group: PlannedGroup) -> None:
        """Create a group, or add members to it."""
        body = {"id": group.id, "name": group.name, "users": list(group.members)}
        await self._api.post("/group/", self._token, body)

    async def set_names(self, student: Student) -> None:
        """Set a student's names."""
        body = {"username": student.username, "name": student.name, "online": False}
        await self._api.post(f"/user/{student.up}", self._token, body)
