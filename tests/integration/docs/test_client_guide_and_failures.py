"""The guide's programs before an edge and a gateway that fail in ways which a test chooses."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import socketio
from engineio import packet

from schemas.refusals import HISTORY_UNAVAILABLE, INVALID_PAYLOAD, OVERLOADED, UNAVAILABLE, Refused
from tests.browser.chat_stage import TOKEN, Stage, a_stage
from tests.integration.docs.programs import both_programs, ending, javascript, printed_until, program, run

LONGEST_PAUSE_S = 3.0
"""How long the programs wait before they connect again."""

SLOW_S = 1.5
"""Longer than python-socketio waits by itself until it is let in."""


@asynccontextmanager
async def running_at(stage: Stage, command: Sequence[str]) -> AsyncIterator[Process]:
    """Run a program of the guide before a stage."""
    async with ending(await run(*command, GATEWAY=stage.url.rstrip("/"), TOKEN=TOKEN)) as running:
        yield running


async def test_the_programs_of_the_guide_wait_as_long_as_an_edge_says_and_end_where_that_does_not_help(
    tmp_path: Path,
) -> None:
    """An edge refuses for now, and names nobody else; then for good."""
    with both_programs(tmp_path) as commands:
        await asyncio.gather(*(_is_refused(command) for command in commands))


async def _is_refused(command: Sequence[str]) -> None:
    async with a_stage() as stage:
        tries: list[float] = []
        stage.edge.on("connect", partial(_refuse, tries))
        async with running_at(stage, command) as running:
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


async def test_the_programs_of_the_guide_stay_with_an_edge_that_takes_its_time_to_let_them_in(
    tmp_path: Path,
) -> None:
    """Python's came anew each second, and was never let in."""
    with both_programs(tmp_path) as commands:
        await asyncio.gather(*(_is_let_in_late(command) for command in commands))


async def _is_let_in_late(command: Sequence[str]) -> None:
    async with a_stage() as stage:
        tries = 0

        async def connect(sid: str, environ: object, auth: dict[str, Any]) -> None:
            nonlocal tries
            tries += 1
            await asyncio.sleep(SLOW_S)
            await stage._connect(sid, environ, auth)

        stage.edge.on("connect", connect)
        async with running_at(stage, command) as running:
            await printed_until(running, "connected to")
        assert tries == 1


async def test_the_programs_of_the_guide_say_where_to_read_what_they_missed(tmp_path: Path) -> None:
    with both_programs(tmp_path) as commands:
        await asyncio.gather(*(_says_what_it_missed(command) for command in commands))


async def _says_what_it_missed(command: Sequence[str]) -> None:
    async with a_stage() as stage:
        stage.head = 5
        stage.edge.on("chat message", _take_it)
        gateway = stage.url.rstrip("/")
        async with running_at(stage, command) as running:
            await printed_until(running, "history has")
            stage.head, stage.recovered = 900, False
            await stage.lose()
            await printed_until(running, f"{gateway}/chat/g/message?after=5\n")
            await stage.lose()
            await printed_until(running, f"{gateway}/chat/g/message?after=900\n")


async def _take_it(_sid: str, message: dict[str, Any]) -> dict[str, Any]:
    return {"id": message["id"], "seq": 5, "timestamp": 1}


async def test_the_programs_of_the_guide_say_it_again_until_it_is_acked_and_go_on_without_history(
    tmp_path: Path,
) -> None:
    """First the connection ends before the ack, as when an edge dies; then the log is away for a moment."""
    with both_programs(tmp_path) as commands:
        await asyncio.gather(*(_says_it_again(command) for command in commands))


async def _says_it_again(command: Sequence[str]) -> None:
    async with a_stage() as stage:
        said: list[str] = []
        stage.edge.on("chat message", partial(_take, stage, said))
        stage.refused["/chat/g/message"] = HISTORY_UNAVAILABLE
        async with running_at(stage, command) as running:
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
            async with running_at(stage, ["node", str(file)]) as running:
                await printed_until(running, "connecting again", "connected to")
                await asyncio.sleep(LONGEST_PAUSE_S + 1)
                assert tries == 2
