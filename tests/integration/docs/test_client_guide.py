"""The programs of README.md and docs/connect-a-client.md are run as they stand there, with a whole system."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import jwt
import socketio

from deploy.demo.service_process import ServiceProcess
from deploy.demo.university import PlannedGroup
from edge_server.settings import EdgeSettings
from schemas.refusals import EXPIRED_TOKEN, TOO_MANY_CONNECTIONS
from tests.integration.backing import new_up
from tests.integration.demo.system import Campus
from tests.integration.docs.programs import (
    README,
    both_programs,
    ending,
    javascript,
    printed_until,
    program,
    run,
)
from tests.waiting import DEADLINE_S

MAX_CONNECTIONS_PER_USER = EdgeSettings.model_fields["max_connections_per_user"].default


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
async def connected(campus: Campus, up: str) -> AsyncIterator[None]:
    """Be connected as a student for the length of the block."""
    client = socketio.AsyncClient(reconnection=False)
    auth = {"token": campus.system.mint_token(up)}
    await client.connect(await campus.locate(up), auth=auth, wait_timeout=DEADLINE_S)
    try:
        yield
    finally:
        await client.disconnect()


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


async def test_the_programs_of_the_guide_greet_once_they_are_let_into_a_group(
    campus: Campus, tmp_path: Path
) -> None:
    with both_programs(tmp_path) as commands:
        for command in commands:
            async with chatting(campus, up := new_up(), *command) as running:
                await printed_until(running, "connected to")
                group = await campus.group(up)
                await printed_until(running, f" {group} {up}: olá!", "history has")


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
        both = [await start(campus, up, *command, lasts_s=10) for command in commands]
        for running in both:
            printed, _ = await asyncio.wait_for(running.communicate(), timeout=60)
            assert "connected to" in printed.decode(), printed.decode()
            assert printed.decode().endswith(f"{EXPIRED_TOKEN.message}\n"), printed.decode()


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
