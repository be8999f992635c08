"""The public REST API as a student's program calls it."""

from typing import Any, Final

import aiohttp

from schemas.api import MAX_PER_PAGE, History
from schemas.client_events import ChatMessage

TIMEOUT_S: Final = 30.0


class RestApi:
    """Calls the gateway at ``base_url``. One object serves many students.

    Every call raises OSError where there is no answer, or a refusal.
    """

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")

    async def locate(self, token: str) -> str:
        """Return the URL of the bearer's edge."""
        return str((await self._get("/chat/location", token))["url"])

    async def history(self, group: str, token: str, *, after: int) -> tuple[list[ChatMessage], int]:
        """Return all messages of a group after a seq, in log order, and up to which seq they are stored."""
        messages: list[ChatMessage] = []
        while True:
            page = await self.page(group, token, after=after)
            messages += page.messages
            if len(page.messages) < MAX_PER_PAGE:
                return messages, page.storedUpTo
            after = page.messages[-1].seq

    async def page(self, group: str, token: str, *, after: int, per_page: int = MAX_PER_PAGE) -> History:
        """Return a page of a group's messages after a seq."""
        arguments = {"after": str(after), "perPage": str(per_page)}
        return History.model_validate(await self._get(f"/chat/{group}/message", token, arguments))

    async def _get(self, path: str, token: str, arguments: dict[str, str] | None = None) -> Any:
        try:
            async with self._session.get(
                self._base_url + path,
                params=arguments,
                headers={"Authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ) as response:
                response.raise_for_status()
                return await response.json()
        except aiohttp.ClientError as error:
            raise ConnectionError(f"GET {path}: {error}") from error
