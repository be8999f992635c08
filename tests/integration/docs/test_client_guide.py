"""The programs of docs/connect-a-client.md are run as they stand there."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.integration.backing import new_up
from tests.integration.demo.system import Campus

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "connect-a-client.md"
NODE_FOLDER = ROOT / "tests" / "integration" / "socketio_js"


def program(language: str) -> str:
    """Return the guide's program in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


async def output_of(campus: Campus, *command: str) -> str:
    """Run a program as a member of one group, and return what it prints."""
    up = new_up()
    await campus.group(up)
    environ = {"GATEWAY": campus.system.public_url, "TOKEN": campus.system.mint_token(up), "ONCE": "1"}
    running = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(running.communicate(), timeout=90)
    assert running.returncode == 0, printed.decode()
    return printed.decode()


def check(printed: str) -> None:
    assert re.search(r"^#\d+ \S+ up\d{9}: olá!$", printed, re.MULTILINE), printed
    assert re.search(r"^durable as #\d+$", printed, re.MULTILINE), printed
    assert re.search(r"^history has \d+ messages, up to #-?\d+$", printed, re.MULTILINE), printed


async def test_the_python_program_of_the_guide_chats(campus: Campus, tmp_path: Path) -> None:
    file = tmp_path / "chat.py"
    file.write_text(program("python"))
    check(await output_of(campus, sys.executable, str(file)))


async def test_the_javascript_program_of_the_guide_chats(campus: Campus) -> None:
    if shutil.which("node") is None or not (NODE_FOLDER / "node_modules").is_dir():
        pytest.skip("node or the JavaScript client is not here")
    file = NODE_FOLDER / "guide-program.mjs"
    file.write_text(program("js"))
    try:
        check(await output_of(campus, "node", str(file)))
    finally:
        file.unlink()
