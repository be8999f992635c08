"""The disk of the broker is full, then the store's: nothing is acked that is not stored, and all goes on."""

import asyncio
import errno
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from deploy.local.service import BackingProcess
from tests.faults.crowd import Crowd, open_crowd
from tests.faults.outcomes import Outcome
from tests.faults.stage import Stage, open_stage, require_native
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(900)]

DISK: Final = "256m"
MEGABYTE: Final = b"\0" * 1_048_576
WITHOUT_STORE: Final = 20
"""Messages that reach everybody while the store's disk is full."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small disk in memory for the length of the block; skip the test where there is no right to."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no right to mount a small disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def small_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A system whose broker and store have a small disk each."""
    require_native()
    folder = tmp_path_factory.mktemp("disks")
    with ExitStack() as stack:
        broker, store = (stack.enter_context(small_disk(folder / name)) for name in ("broker", "store"))
        yield stack.enter_context(open_stage(folder, broker_data=broker, store_data=store))


def fill(backing: BackingProcess) -> Path:
    """Take all that is free on the disk of a broker or store; return the file that has it."""
    assert backing.cwd is not None
    filler = Path(backing.cwd) / "filler"
    with filler.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(MEGABYTE)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return filler


def make_room(stage: Stage, backing: BackingProcess, filler: Path) -> None:
    """Do what operators must: free some of the disk, and start anew what ended, or stands still, by it."""
    filler.unlink()
    backing.kill()
    stage.put_right()


async def test_a_full_disk_of_the_broker_acks_nothing_that_is_not_stored(
    small_stage: Stage, seed: int, outcome: Outcome
) -> None:
    """the disk of the broker is full"""
    broker = small_stage.broker
    async with open_crowd(small_stage.system, seed) as crowd:
        async with crowd.chatting():
            await crowd.probe()
            filler = await asyncio.to_thread(fill, broker)
            acked = await crowd.until_nothing_is_acked()
            outcome.counts["not acked"] = len(crowd.recorder.said) - acked
            probe = asyncio.create_task(crowd.probe())
            await asyncio.to_thread(make_room, small_stage, broker, filler)
            outcome.recovered_s.append(await probe)
        outcome.checked = await crowd.judge()


async def test_a_full_disk_of_the_store_stops_no_live_chat_and_loses_no_history(
    small_stage: Stage, seed: int, outcome: Outcome
) -> None:
    """the disk of the store is full"""
    store = small_stage.store
    async with open_crowd(small_stage.system, seed) as crowd:
        async with crowd.chatting():
            await crowd.probe()
            filler = await asyncio.to_thread(fill, store)
            for _ in range(WITHOUT_STORE):
                await reaches_everybody(crowd)
            outcome.counts["chatted meanwhile"] = WITHOUT_STORE
            await asyncio.to_thread(make_room, small_stage, store, filler)
            outcome.recovered_s.append(await crowd.probe())
        outcome.checked = await crowd.judge()


async def reaches_everybody(crowd: Crowd) -> None:
    """Say something of some size, and wait until all members of the largest group have it."""
    everybody = crowd.groups[-1]
    message_id = crowd.say(everybody, "x" * 10_000)
    await eventually("it came to all", partial(crowd.has_reached_all, message_id, everybody))
