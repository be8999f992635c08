"""Students of the official JavaScript client, in a node process that tests give orders to."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

FOLDER = Path(__file__).parent
SCRIPT = FOLDER / "students.mjs"
DEADLINE_S = 60.0
LINE_LIMIT_BYTES = 16 * 1024 * 1024


def missing() -> str | None:
    """Say in a few words why the official client cannot run here; None when it can."""
    if shutil.which("node") is None:
        return "no node on the PATH"
    if not (FOLDER / "node_modules" / "socket.io-client").is_dir():
        return "the JavaScript client is not installed (make setup brings it, with npm)"
    return None


class JsStudent:
    """One student: what is asked of the official client, and what it has seen."""

    def __init__(self, node: "JsStudents", name: str, up: str) -> None:
        self._node = node
        self.name = name
        self.up = up

    async def connect(
        self,
        url: str,
        token: str,
        *,
        since: Mapping[str, int] | None = None,
        transports: list[str] | None = None,
    ) -> dict[str, Any]:
        """Connect; returns ``{connected: true}``, or the message and data of ``connect_error``."""
        auth = {"token": token, **({"since": since} if since is not None else {})}
        result: dict[str, Any] = await self._order("connect", url=url, auth=auth, transports=transports)
        return result

    async def emit(self, event: str, payload: Any) -> Any:
        """Send an event and return its ack."""
        return await self._order("emit", event=event, payload=payload)

    async def say(self, room: str, text: str, **more: Any) -> Any:
        """Send a chat message and return its ack."""
        payload = {"message": text, "up": self.up, "room": room, "timestamp": 1_700_000_000_000}
        return await self.emit("chat message", {**payload, **more})

    async def send_raw(self, text: str) -> None:
        """Send a websocket text frame as it is, past the client."""
        await self._order("raw", text=text)

    async def disconnect(self) -> None:
        """Say goodbye."""
        await self._order("disconnect")

    async def lose_connection(self) -> None:
        """Lose the websocket without a word."""
        await self._order("lose")

    async def state(self) -> dict[str, Any]:
        """Return what the client has seen so far."""
        state: dict[str, Any] = await self._order("state")
        return state

    async def until(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the state is as wanted, and return it."""
        state: dict[str, Any] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE_S):
                while not holds(state := await self.state()):  # noqa: ASYNC110 - it is asked in node
                    await asyncio.sleep(0.02)
                return state
        raise AssertionError(f"never came true: {what}; the state is {state}")

    async def texts(self, count: int) -> list[str]:
        """Wait for so many messages, and return the texts of all that came."""
        state = await self.until(f"{count} messages", lambda now: len(now["messages"]) >= count)
        return [message["message"] for message in state["messages"]]

    async def _order(self, order: str, **rest: Any) -> Any:
        return await self._node.order(order, name=self.name, **rest)


class JsStudents:
    """The node process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._orders = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    def student(self, up: str) -> JsStudent:
        """Return a student who has yet to connect. The same number may have several devices."""
        self._orders += 1
        return JsStudent(self, f"{up}-{self._orders}", up)

    async def order(self, order: str, **rest: Any) -> Any:
        """Give an order and return its result."""
        self._orders += 1
        number = self._orders
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"n": number, "order": order, **rest}).encode() + b"\n")
        return await asyncio.wait_for(answer, DEADLINE_S)

    async def read(self) -> None:
        """Hand out answers until the process ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            answer = self._waiting.pop(said["n"])
            if answer.done():
                continue
            if "failed" in said:
                answer.set_exception(AssertionError(said["failed"]))
            else:
                answer.set_result(said["result"])

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        """Run the node process for the length of the block."""
        process = await asyncio.create_subprocess_exec(
            "node",
            str(SCRIPT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT_BYTES,
        )
        node = cls(process)
        reading = asyncio.create_task(node.read())
        try:
            yield node
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await asyncio.wait_for(process.wait(), DEADLINE_S)
            await reading
