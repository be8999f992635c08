"""Writes results atomically. That a folder is not writable is noticed before a run."""

from pathlib import Path
from tempfile import TemporaryFile


def open_folder(folder: Path) -> None:
    """Make a folder, and see that files can be made in it. Raises OSError that names it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"nothing can be kept in {folder}: {error}") from error


def keep(path: Path, text: str) -> Path:
    """Write a file, whole or not at all, and return where. Raises OSError that names it."""
    half = path.with_name(f"{path.name}.half")
    try:
        try:
            half.write_text(text)
            half.replace(path)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    return path
