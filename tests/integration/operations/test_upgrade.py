"""A rolling upgrade and the way back, service by service, while students chat: nobody notices.

Version 2 is this code with a field more in every record: old readers meet new records, new readers old ones.
"""

import asyncio
import shutil
from pathlib import Path

import pytest

from deploy.demo.local_system import LocalSystem
from deploy.demo.replay import plan_of, run_replay
from deploy.demo.service_process import ServiceProcess
from deploy.repository import REPOSITORY
from schemas import topics
from tests.integration.demo.system import records_of

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(400)]

PACKAGES = ("schemas", "runtime", "dispatcher", "edge_server", "persister", "api_gateway")
CHANGES = {
    "    ce_type: ClassVar[str]\n": '    ce_type: ClassVar[str]\n    new_in_version_2: str = "olá"\n',
    '"sentAt": sent_at}': '"sentAt": sent_at, "newInVersion2": "olá"}',
}
MINUTES, A_MINUTE, STUDENTS = 8, 12, 16
DEADLINE_S = 120.0


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    """The services' code with a field more in every record, which it writes."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, tmp_path / "version_2" / package, ignore=ignored)
    records = tmp_path / "version_2" / "schemas" / "log_records.py"
    text = records.read_text()
    for old, new in CHANGES.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    records.write_text(text)
    return tmp_path / "version_2"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two groups of students who talk all the time."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for group in range(2):
        lines = [
            f"[10:{n // A_MINUTE:02}] <nick{(n * 7 + group) % (STUDENTS - group)}> line {n}\n"
            for n in range(MINUTES * A_MINUTE)
        ]
        (folder / f"2004-1{group}.log").write_text("".join(lines))
    return folder


def in_order(system: LocalSystem) -> list[ServiceProcess]:
    """Return the services in the order in which they are upgraded: readers of the log before its writers."""
    names = ["persister", "dispatcher", "api_gateway", *system.edge_urls]
    return [system.services[name] for name in names]


async def roll(system: LocalSystem, code: Path) -> None:
    """Let one service after the other run this code."""
    for service in in_order(system):
        await asyncio.to_thread(service.stop)
        service.cwd = code
        await asyncio.to_thread(service.start)


async def values(system: LocalSystem) -> list[bytes]:
    """Return what all messages in the log say."""
    return [record.value for record in await records_of(system, topics.MESSAGES)]


async def until_new_messages(system: LocalSystem) -> None:
    """Wait until version 2 has written messages."""
    async with asyncio.timeout(DEADLINE_S):
        while not any(map(is_new, await values(system))):
            pass  # reading the log takes its time


def is_new(value: bytes) -> bool:
    """Say whether version 2 wrote this."""
    return b"newInVersion2" in value


async def test_nobody_notices_an_upgrade_nor_the_way_back(
    local_system: LocalSystem, version_2: Path, logs: Path
) -> None:
    async def there_and_back() -> None:
        try:
            await roll(local_system, version_2)
            await until_new_messages(local_system)
        finally:
            await roll(local_system, REPOSITORY)

    rolling = asyncio.create_task(there_and_back())
    verdicts = []
    try:
        while not rolling.done():
            verdicts.append(await run_replay(local_system, plan_of(logs, speed=40.0)))
    finally:
        await rolling
        await asyncio.to_thread(local_system.wait_until_spread)
    assert [verdict for verdict in verdicts if not verdict.ok] == []
    new = sum(map(is_new, await values(local_system)))
    assert 0 < new < sum(verdict.sent for verdict in verdicts), "not both versions have written"
