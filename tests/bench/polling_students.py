"""Students who connect as the usual clients do: they poll, and come over to a websocket when they are in."""

from collections.abc import Sequence
from typing import Final

import aiohttp
import orjson

from tests.integration.backing import token

_PATH: Final = "/socket.io/?EIO=4&transport="
_BETWEEN_PACKETS: Final = "\x1e"


class PollingStudent:
    """One session, which ends up with a websocket and nothing else."""

    def __init__(self, up: str, rooms: Sequence[str]) -> None:
        self._auth = {"token": token(up), "rooms": list(rooms)}
        self._websocket: aiohttp.ClientWebSocketResponse

    async def connect(self, http: aiohttp.ClientSession, websockets: aiohttp.ClientSession, url: str) -> None:
        """Connect by polling, wait for the rooms, and come over."""
        (opened,) = await self._poll(http, url + _PATH + "polling")
        session = "&sid=" + orjson.loads(opened[1:])["sid"]
        polling = url + _PATH + "polling" + session
        await (await http.post(polling, data=b"40" + orjson.dumps(self._auth))).read()
        heard = await self._poll(http, polling)
        while not any(packet.startswith('42["joined"') for packet in heard):
            heard = await self._poll(http, polling)
        self._websocket = await websockets.ws_connect(url + _PATH + "websocket" + session)
        await self._websocket.send_str("2probe")
        await self._websocket.receive_str()
        await self._poll(http, polling)
        await self._websocket.send_str("5")

    async def close(self) -> None:
        """Go."""
        await self._websocket.close()

    async def _poll(self, http: aiohttp.ClientSession, url: str) -> list[str]:
        async with http.get(url) as answer:
            return (await answer.text()).split(_BETWEEN_PACKETS)
