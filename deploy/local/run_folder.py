"""A temporary folder of a run. Folders of killed runs are removed when the next run starts."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

HELD: Final = "held-by-its-run"
"""A file made once the folder is locked. Without it, a starting run may be about to lock the folder."""


@contextmanager
def run_folder(prefix: str) -> Iterator[Path]:
    """Make a folder with this prefix and remove it at the end. Also remove those that no run has locked."""
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
    """Lock a folder; the kernel unlocks it when this process ends. Raises `OSError` if it is locked."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)
