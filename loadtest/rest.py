"""A client of the public REST API. Filling a system also posts to the internal API with it."""

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
"""Pauses between attempts, at least: there is one more attempt than pauses."""
TRY_AGAIN: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class RestApi:
    """Calls the gateway at ``base_url``. One object serves many students.

    Every call raises OSError if there is no answer, an invalid one, or a refusal.
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
            # Stop at a page without anything newer: it would be read for ever.
            if len(page.messages) < MAX_PER_PAGE or after == before:
                return messages

    async def page(self, group: str, token: str, *, after: int, per_page: int = MAX_PER_PAGE) -> History:
        """Return a page of a group's messages after a seq."""
        arguments = {"after": str(after), "perPage": str(per_page)}
        return await self._get(History, f"/chat/{group}/message", token, arguments)

    async def create_group(
        self, group: str, users: Sequence[str], token: str, *, tries: int | None = None
    ) -> None:
        """Create a group of the bearer, and wait until it is durable. Idempotent."""
        for start in range(0, max(1, len(users)), MAX_NEW_MEMBERS):
            chunk = list(users[start : start + MAX_NEW_MEMBERS])
            body = {"id": group, "name": group, "users": chunk}
            await self.post("/chat/group", token, body, tries=tries)

    async def post(self, path: str, token: str, body: dict[str, Any], *, tries: int | None = None) -> None:
        """Post an idempotent request. Temporary refusals are retried, in all ``tries`` attempts at most."""
        headers = {"Authorization": f"Bearer {token}"}
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        failure, retry_after = "", "0"
        for pause_s in (0.0, *RETRY_PAUSES_S)[:tries]:
            await asyncio.sleep(max(pause_s, float(retry_after) if retry_after.isdecimal() else 0.0))
            try:
                async with self._session.post(
                    self._base_url + path, json=body, headers=headers, timeout=timeout, allow_redirects=False
                ) as response:
                    _check_moved(response, f"POST {path}")
                    if response.status < 400:
                        return
                    retry_after = response.headers.get("Retry-After", "0")
                    failure = f"{response.status} {(await response.text())[:300]}"
                    if response.status not in TRY_AGAIN:
                        break
            except aiohttp.ClientConnectorError as error:
                raise ConnectionError(f"POST {path}: {error}") from error
            except (aiohttp.ClientError, TimeoutError) as error:
                failure = repr(error)
        raise ConnectionError(f"POST {path}: {failure}")

    async def _get(
        self, answer: type[Answer], path: str, token: str, arguments: dict[str, str] | None = None
    ) -> Answer:
        try:
            async with self._session.get(
                self._base_url + path,
                params=arguments,
                headers={"Authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                allow_redirects=False,
            ) as response:
                _check_moved(response, f"GET {path}")
                response.raise_for_status()
                return answer.model_validate_json(await response.read())
        except (aiohttp.ClientError, ValueError) as error:
            raise ConnectionError(f"GET {path}: {error}") from error


def _check_moved(response: aiohttp.ClientResponse, request: str) -> None:
    """Raise OSError where the gateway redirects: to another host, a request goes without its token."""
    if 300 <= response.status < 400:
        to = response.headers.get("Location", "nowhere")
        raise ConnectionError(f"{request}: {response.status}, moved to {to}; give the gateway's own URL")
