"""Writes groups, memberships and names through the internal API, as the solution's services do."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from deploy.demo.university import PlannedGroup, Student

AT_ONCE: Final = 64
TRIES: Final = 20
RETRY_AFTER_S: Final = 0.5
TIMEOUT_S: Final = 60.0
TRY_AGAIN: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class InternalApi:
    """Calls the internal API at ``base_url``. Every write can be repeated: the last one stands."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, service_token: str) -> None:
        self._session = session
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {service_token}"}

    async def fill(
        self,
        groups: Iterable[PlannedGroup],
        students: Iterable[Student],
        progress: Callable[[], object] = lambda: None,
    ) -> None:
        """Create all groups and name all students; ``progress`` is called after each."""
        room = asyncio.Semaphore(AT_ONCE)

        async def one(write: Callable[[], Awaitable[None]]) -> None:
            async with room:
                await write()
                progress()

        try:
            async with asyncio.TaskGroup() as tasks:
                for group in groups:
                    tasks.create_task(one(partial(self.create, group)))
                for student in students:
                    tasks.create_task(one(partial(self.introduce, student)))
        except ExceptionGroup as failed:
            raise RuntimeError(str(failed.exceptions[0])) from failed

    async def create(self, group: PlannedGroup) -> None:
        """Create a group, or add members to it."""
        body = {"id": group.id, "name": group.name, "users": list(group.members)}
        await self._post("/group/", body)

    async def introduce(self, student: Student) -> None:
        """Say what a student is called."""
        body = {"username": student.username, "name": student.name, "online": False}
        await self._post(f"/user/{student.up}", body)

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        """Repeat what is refused for now. Raises RuntimeError with the refusal where it stays refused."""
        said = ""
        for _ in range(TRIES):
            status, said = await self._try_post(path, body)
            if status < 400:
                return
            if status not in TRY_AGAIN:
                break
            await asyncio.sleep(RETRY_AFTER_S)
        raise RuntimeError(f"POST {path}: {said}")

    async def _try_post(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        """Return status and text of the answer; 503 where there is none."""
        try:
            async with self._session.post(
                self._base_url + path,
                json=body,
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ) as response:
                return response.status, f"{response.status} {(await response.text())[:300]}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return HTTPStatus.SERVICE_UNAVAILABLE, repr(error)
