"""The programs of README.md and docs/connect-a-client.md, to run them as they stand there."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from deploy.repository import REPOSITORY

README = REPOSITORY / "README.md"
GUIDE = REPOSITORY / "docs" / "connect-a-client.md"
NODE_FOLDER = REPOSITORY / "tests" / "integration" / "socketio_js"


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


@asynccontextmanager
async def ending(running: asyncio.subprocess.Process) -> AsyncIterator[asyncio.subprocess.Process]:
    """End a program after the block."""
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


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
    file = NODE_FOLDER / f"program-of-a-page-{os.getpid()}.mjs"
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
