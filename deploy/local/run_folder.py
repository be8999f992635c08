"""A folder for the length of a run. What a killed run has left goes when the next one starts."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

HELD: Final = "held-by-its-run"
"""Made once the folder is held: without it, the folder may be of a run that is about to hold it."""


@contextmanager
def run_folder(prefix: str) -> Iterator[Path]:
    """Make a folder with this prefix and remove it at the end, and those that no run holds any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):
            _remove_if_left(folder)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name,
        _hold(Path(name)),
    ):
        (Path(name) / HELD).touch()
        yield Path(name)


def _remove_if_left(folder: Path) -> None:
    if (folder / HELD).exists():
        with _hold(folder):
            shutil.rmtree(folder)


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Hold a folder; the kernel lets go of it when this process ends. Raises `OSError` where another does."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)
