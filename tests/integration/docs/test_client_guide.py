"""The programs of README.md and docs/connect-a-client.md are run as they stand there."""

import asyncio
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import jwt
import pytest
import socketio
from engineio import packet

from deploy.demo.service_process import ServiceProcess
from deploy.demo.university import PlannedGroup
from deploy.repository import REPOSITORY
from edge_server.settings import EdgeSettings
from schemas.refusals import (
    EXPIRED_TOKEN,
    HISTORY_UNAVAILABLE,
    INVALID_PAYLOAD,
    OVERLOADED,
    TOO_MANY_CONNECTIONS,
    UNAVAILABLE,
    Refused,
)
from tests.browser.chat_stage import TOKEN, Stage, a_stage
from tests.integration.backing import new_up
from tests.integration.demo.system import Campus

README = REPOSITORY / "README.md"
GUIDE = REPOSITORY / "docs" / "connect-a-client.md"
NODE_FOLDER = REPOSITORY / "tests" / "integration" / "socketio_js"
LONGEST_PAUSE_S = 3.0
"""How long the programs wait before they connect again."""
MAX_CONNECTIONS_PER_USER = EdgeSettings.model_fields["max_connections_per_user"].default


def program(language: str, page: Path = GUIDE) -> str:
    """Return a page's program in a language."""
    found = re.search(rf"^ *```{language}\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return dedent(found[1])


async def run(*command: str, **env: str) -> asyncio.subprocess.Process:
    """Run a program."""
    return await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **env}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )


async def start(
    campus: Campus, up: str, *command: str, lasts_s: float = 600.0, **env: str
) -> asyncio.subprocess.Process:
    """Run a program as a student whose token lasts so long, and has both letters that base64 has not."""
    claims = {"sub": up, "exp": time.time() + lasts_s, "name": "João ???? >>>>"}
    token = jwt.encode(claims, campus.system.token_secret, "HS256")
    assert {"-", "_"} < set(token.split(".")[1])
    return await run(*command, GATEWAY=campus.system.public_url, TOKEN=token, **env)


async def output_of(campus: Campus, *command: str) -> str:
    """Run a program as a member of one group, and return what it prints."""
    up = new_up()
    await campus.group(up)
    running = await start(campus, up, *command, ONCE="1")
    printed, _ = await asyncio.wait_for(running.communicate(), timeout=90)
    assert running.returncode == 0, printed.decode()
    return printed.decode()


@asynccontextmanager
async def chatting(campus: Campus, up: str, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program as a student for the length of the block."""
    async with ending(await start(campus, up, *command)) as running:
        yield running


@asynccontextmanager
async def ending(running: asyncio.subprocess.Process) -> AsyncIterator[asyncio.subprocess.Process]:
    """End a program after the block."""
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


@asynccontextmanager
async def connected(campus: Campus, up: str) -> AsyncIterator[None]:
    """Be connected as a student for the length of the block."""
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(await campus.locate(up), auth={"token": campus.system.mint_token(up)})
    try:
        yield
    finally:
        await client.disconnect()


async def printed_until(running: asyncio.subprocess.Process, *wanted: str) -> None:
    """Read what a program prints until all that is wanted stands there."""
    assert running.stdout is not None
    printed = ""
    async with asyncio.timeout(90):
        while not all(text in printed for text in wanted):
            line = await running.stdout.readline()
            assert line, printed
            printed += line.decode()


@contextmanager
def javascript(text: str) -> Iterator[Path]:
    """Save a program beside the official client."""
    if shutil.which("node") is None or not (NODE_FOLDER / "node_modules").is_dir():
        pytest.skip("node or the JavaScript client is not here")
    file = NODE_FOLDER / "program-of-a-page.mjs"
    file.write_text(text)
    try:
        yield file
    finally:
        file.unlink()


@contextmanager
def both_programs(folder: Path) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield the commands of the guide's two programs: JavaScript's and Python's."""
    python = folder / "chat.py"
    python.write_text(program("python"))
    with javascript(program("js")) as file:
        yield ("node", str(file)), (sys.executable, "-u", str(python))


def check(printed: str) -> None:
    assert re.search(r"^#\d+ \S+ up\d{9}: olá!$", printed, re.MULTILINE), printed
    assert re.search(r"^durable as #\d+$", printed, re.MULTILINE), printed
    assert re.search(r"^history has \d+ messages, up to #-?\d+$", printed, re.MULTILINE), printed


async def test_the_python_program_of_the_guide_chats(campus: Campus, tmp_path: Path) -> None:
    file = tmp_path / "chat.py"
    file.write_text(program("python"))
    check(await output_of(campus, sys.executable, str(file)))


async def test_the_javascript_program_of_the_guide_chats(campus: Campus) -> None:
    with javascript(program("js")) as file:
        check(await output_of(campus, "node", str(file)))


async def test_the_programs_of_the_guide_end_without_a_good_token(campus: Campus, tmp_path: Path) -> None:
    with both_programs(tmp_path) as commands:
        for command in commands:
            running = await start(campus, "up201900000", *command, lasts_s=-1)
            printed, _ = await asyncio.wait_for(running.communicate(), timeout=30)
            assert printed.decode() == f"{EXPIRED_TOKEN.message}\n"


async def test_the_programs_of_the_guide_end_in_a_line_at_the_end_of_their_token(
    campus: Campus, tmp_path: Path
) -> None:
    await campus.group(up := new_up())
    with both_programs(tmp_path) as commands:
        for command in commands:
            running = await start(campus, up, *command, lasts_s=10)
            printed, _ = await asyncio.wait_for(running.communicate(), timeout=60)
            assert "connected to" in printed.decode(), printed.decode()
            assert printed.decode().endswith(f"{EXPIRED_TOKEN.message}\n"), printed.decode()


async def test_the_programs_of_the_guide_wait_as_long_as_an_edge_says_and_end_where_that_does_not_help(
    tmp_path: Path,
) -> None:
    """An edge refuses for now, and names nobody else; then for good."""
    with both_programs(tmp_path) as commands:
        for command in commands:
            async with a_stage() as stage:
                tries: list[float] = []
                stage.edge.on("connect", partial(_refuse, tries))
                async with ending(await run(*command, GATEWAY=stage.url.rstrip("/"), TOKEN=TOKEN)) as running:
                    await printed_until(running, OVERLOADED.message, INVALID_PAYLOAD.message)
                    await asyncio.wait_for(running.wait(), timeout=30)
                assert len(tries) == 2
                assert tries[1] - tries[0] > 1 + LONGEST_PAUSE_S


async def _refuse(tries: list[float], *_: object) -> None:
    """Refuse a connection: the first time for now, and then for good."""
    tries.append(asyncio.get_running_loop().time())
    refused = Refused(INVALID_PAYLOAD)
    if len(tries) == 1:
        refused = Refused(OVERLOADED, retry_after_s=int(LONGEST_PAUSE_S) + 1)
    body = refused.body("r").model_dump(exclude_none=True)
    raise socketio.exceptions.ConnectionRefusedError(body["message"], body)


async def test_the_programs_of_the_guide_say_where_to_read_what_they_missed(tmp_path: Path) -> None:
    with both_programs(tmp_path) as commands:
        for command in commands:
            async with a_stage() as stage:
                stage.head = 5
                stage.edge.on("chat message", _take_it)
                gateway = stage.url.rstrip("/")
                async with ending(await run(*command, GATEWAY=gateway, TOKEN=TOKEN)) as running:
                    await printed_until(running, "history has")
                    stage.head, stage.recovered = 900, False
                    await stage.lose()
                    await printed_until(running, f"{gateway}/chat/g/message?after=5\n")
                    await stage.lose()
                    await printed_until(running, f"{gateway}/chat/g/message?after=900\n")


async def _take_it(_sid: str, message: dict[str, Any]) -> dict[str, Any]:
    return {"id": message["id"], "seq": 5, "timestamp": 1}


async def test_the_programs_of_the_guide_stay_away_once_they_were_replaced(
    campus: Campus, tmp_path: Path
) -> None:
    await campus.group(up := new_up())
    with both_programs(tmp_path) as commands:
        for command in commands:
            async with chatting(campus, up, *command) as running, AsyncExitStack() as others:
                await printed_until(running, "history has")
                for _ in range(MAX_CONNECTIONS_PER_USER):
                    await others.enter_async_context(connected(campus, up))
                await printed_until(running, TOO_MANY_CONNECTIONS.message)
                await asyncio.wait_for(running.wait(), timeout=30)


async def test_the_programs_of_the_guide_say_it_again_until_it_is_acked_and_go_on_without_history(
    tmp_path: Path,
) -> None:
    """First the connection ends before the ack, as when an edge dies; then the log is away for a moment."""
    with both_programs(tmp_path) as commands:
        for command in commands:
            async with a_stage() as stage:
                said: list[str] = []

                stage.edge.on("chat message", partial(_take, stage, said))
                stage.refused["/chat/g/message"] = HISTORY_UNAVAILABLE
                gateway = stage.url.rstrip("/")
                async with ending(await run(*command, GATEWAY=gateway, TOKEN=TOKEN)) as running:
                    await printed_until(running, "durable as #7", HISTORY_UNAVAILABLE.message)
                    await stage.lose()
                    await printed_until(running, "connected to")
                    assert len(said) == 3
                    assert len(set(said)) == 1


async def _take(stage: Stage, said: list[str], sid: str, message: dict[str, Any]) -> dict[str, Any]:
    """Ack a message; but the first time end the connection instead, and the second time refuse it for now."""
    said.append(message["id"])
    if len(said) == 1:
        await stage.edge.disconnect(sid)
    if len(said) == 2:
        return {"error": Refused(UNAVAILABLE).body("r").model_dump()}
    return {"id": message["id"], "seq": 7, "timestamp": 1}


async def test_the_javascript_program_of_the_guide_comes_back_once_after_a_failure_told_twice() -> None:
    """A connection that fails before the edge has let it in is told as connect_error and as disconnect."""
    with javascript(program("js")) as file:
        async with a_stage() as stage:
            tries = 0

            async def connect(sid: str, environ: object, auth: dict[str, Any]) -> None:
                nonlocal tries
                tries += 1
                if tries == 1:
                    lost = stage.edge.eio.sockets.pop(stage.edge.manager.eio_sid_from_sid(sid, "/"))
                    await lost.send(packet.Packet(packet.NOOP))
                else:
                    await stage._connect(sid, environ, auth)

            stage.edge.on("connect", connect)
            running = await run("node", str(file), GATEWAY=stage.url.rstrip("/"), TOKEN=TOKEN)
            async with ending(running):
                await printed_until(running, "connecting again", "connected to")
                await asyncio.sleep(LONGEST_PAUSE_S + 1)
                assert tries == 2


async def test_the_program_of_the_readme_says_hello(campus: Campus) -> None:
    await campus.group(up := new_up())
    with javascript(program("js", README)) as file:
        async with chatting(campus, up, "node", str(file)) as running:
            await printed_until(running, "olá!", "seq: ")


async def test_the_programs_of_the_guide_follow_when_their_edge_stops_and_when_it_dies(
    campus: Campus, tmp_path: Path
) -> None:
    # Whoever lets a student into a group may have named it like what every JavaScript object has.
    up = new_up()
    for group in ("valueOf", "constructor"):
        await campus.internal.create(PlannedGroup(group, "A test's group", (up,)))
    with both_programs(tmp_path) as (first, second):
        async with chatting(campus, up, *first) as one, chatting(campus, up, *second) as other:
            for running in (one, other):
                await printed_until(running, "connected to", "history has")
            for end in (ServiceProcess.stop, ServiceProcess.kill):
                here = await campus.locate(up)
                names = {url: name for name, url in campus.system.edge_urls.items()}
                edge = campus.system.services[names.pop(here)]
                await asyncio.to_thread(end, edge)
                try:
                    for running in (one, other):
                        await printed_until(running, *(f"connected to {url}\n" for url in names))
                finally:
                    await asyncio.to_thread(edge.start)
                    await asyncio.to_thread(campus.system.wait_until_spread)
