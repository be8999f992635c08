"""The public REST API as students' programs call it. What fills a system posts to the internal one by it."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar

import aiohttp
from pydantic import BaseModel

from schemas.api import MAX_NEW_MEMBERS, MAX_PER_PAGE, History, Location
from schemas.client_events import ChatMessage

Answer = TypeVar("Answer", bound=BaseModel)

TIMEOUT_S: Final = 30.0
RETRY_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Between one try and the next: there is one try more than there are pauses."""
TRY_AGAIN: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class RestApi:
    """Calls the gateway at ``base_url``. One object serves many students.

    Every call raises OSError where there is no answer, none that can be understood, or a refusal.
    """

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")

    async def locate(self, token: str) -> str:
        """Return the URL of the bearer's edge."""
        return (await self._get(Location, "/chat/location", token)).url

    async def history(self, group: str, token: str, *, after: int) -> list[ChatMessage]:
        """Return all messages of a group after a seq, as they come."""
        messages: list[ChatMessage] = []
        while True:
            page = await self.page(group, token, after=after)
            messages += page.messages
            before, after = after, max([after, *(message.seq for message in page.messages)])
            # A page that brings nothing newer, as it should, would be read again and again.
            if len(page.messages) < MAX_PER_PAGE or after == before:
                return messages

    async def page(self, group: str, token: str, *, after: int, per_page: int = MAX_PER_PAGE) -> History:
        """Return a page of a group's messages after a seq."""
        arguments = {"after": str(after), "perPage": str(per_page)}
        return await self._get(History, f"/chat/{group}/message", token, arguments)

    async def create_group(
        self, group: str, users: Sequence[str], token: str, *, tries: int | None = None
    ) -> None:
        """Create a group of the bearer's, and wait until the log has it. The same again changes nothing."""
        for start in range(0, max(1, len(users)), MAX_NEW_MEMBERS):
            some = list(users[start : start + MAX_NEW_MEMBERS])
            body = {"id": group, "name": group, "users": some}
            await self.post("/chat/group", token, body, tries=tries)

    async def post(self, path: str, token: str, body: dict[str, Any], *, tries: int | None = None) -> None:
        """Post what may be posted twice: what is refused for now is tried again, ``tries`` times at most."""
        headers = {"Authorization": f"Bearer {token}"}
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        said = ""
        for pause_s in (0.0, *RETRY_PAUSES_S)[:tries]:
            await asyncio.sleep(pause_s)
            try:
                async with self._session.post(
                    self._base_url + path, json=body, headers=headers, timeout=timeout
                ) as response:
                    if response.status < 400:
                        return
                    said = f"{response.status} {(await response.text())[:300]}"
                    if response.status not in TRY_AGAIN:
                        break
            except aiohttp.ClientConnectorError as error:
                raise ConnectionError(f"POST {path}: {error}") from error
            except (aiohttp.ClientError, TimeoutError) as error:
                said = repr(error)
        raise ConnectionError(f"POST {path}: {said}")

    async def _get(
        self, answer: type[Answer], path: str, token: str, arguments: dict[str, str] | None = None
    ) -> Answer:
        try:
            async with self._session.get(
                self._base_url + path,
                params=arguments,
                headers={"Authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ) as response:
                response.raise_for_status()
                return answer.model_validate_json(await response.read())
        except (aiohttp.ClientError, ValueError) as error:
            raise ConnectionError(f"GET {path}: {error}") from error
