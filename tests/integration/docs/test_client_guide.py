"""The programs of README.md and docs/connect-a-client.md are run as they stand there."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from tests.integration.backing import new_up
from tests.integration.demo.system import Campus

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "connect-a-client.md"
NODE_FOLDER = ROOT / "tests" / "integration" / "socketio_js"


def program(language: str, page: Path = GUIDE) -> str:
    """Return a page's program in a language."""
    found = re.search(rf"^ *```{language}\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return dedent(found[1])


async def start(campus: Campus, *command: str) -> asyncio.subprocess.Process:
    """Run a program as a member of one group."""
    up = new_up()
    await campus.group(up)
    environ = {"GATEWAY": campus.system.public_url, "TOKEN": campus.system.mint_token(up), "ONCE": "1"}
    return await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def output_of(campus: Campus, *command: str) -> str:
    """Run a program as a member of one group, and return what it prints."""
    running = await start(campus, *command)
    printed, _ = await asyncio.wait_for(running.communicate(), timeout=90)
    assert running.returncode == 0, printed.decode()
    return printed.decode()


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


async def test_the_program_of_the_readme_says_hello(campus: Campus) -> None:
    with javascript(program("js", README)) as file:
        running = await start(campus, "node", str(file))
        try:
            await printed_until(running, "olá!", "seq: ")
        finally:
            running.kill()
            await running.wait()
