"""What the kernel says of a process, and programs for children that do little."""

import sys
from pathlib import Path

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF_PROGRAM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""
DEAF = [sys.executable, "-c", DEAF_PROGRAM]
DEADLINE_S = 60.0


def state_of(pid: int) -> str:
    """The kernel's letter for a process: S sleeping, T stopped, …; X when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "X"
    return stat.rsplit(")", 1)[1].split()[0]


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    return state_of(pid) in "XZ"


def has_said(log_file: Path, word: str) -> bool:
    """Whether `word` stands in a log file."""
    return log_file.exists() and word in log_file.read_text()
