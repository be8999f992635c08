"""Reads IRC logs as messages with nick, text and minute. Pure, except `read_logs`.

A line ``[HH:MM] <nick> text`` is a message. Joins and renames (``===``) and actions
(``* nick waves``) are not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

DIAL_MINUTES: Final = 12 * 60

_MESSAGE: Final = re.compile(rb"\[([0-2][0-9]):([0-5][0-9])\] <([^>]+)> ?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class IrcMessage:
    """A message. ``minute`` counts from the first message of its log and never goes back."""

    minute: int
    nick: str
    text: str


def read_logs(path: Path) -> dict[str, list[IrcMessage]]:
    """Return what is said in each ``*.log`` of a folder, or in one log, by its file's name.

    Raises ValueError where nothing is, or OSError.
    """
    # Unlike glob, this raises if there is no such folder, or it is not readable.
    files = [path] if path.is_file() else sorted(one for one in path.iterdir() if one.suffix == ".log")
    logs = {file.name: parse(file.read_bytes()) for file in files}
    if not any(logs.values()):
        raise ValueError(f"{path} holds no *.log with lines like [12:34] <nick> text")
    return {name: log for name, log in logs.items() if log}


def parse(log: bytes) -> list[IrcMessage]:
    """Return the messages of a log, in its order. The text is kept as it is, an empty one too.

    A clock that goes back has passed the top of its dial: midnight, or noon where a log was written
    with twelve hours (one of ours was). A step back is the shortest step forward by either dial.
    """
    messages: list[IrcMessage] = []
    minute, last_clock = 0, None
    for line in log.split(b"\n"):
        found = _MESSAGE.fullmatch(line)
        if found is None:
            continue
        clock = int(found[1]) * 60 + int(found[2])
        minute += 0 if last_clock is None else _step(last_clock, clock)
        last_clock = clock
        messages.append(IrcMessage(minute, _decoded(found[3]), _decoded(found[4])))
    return messages


def moments(log: Sequence[IrcMessage], lasts_s: float, speed: float | None = None) -> list[float]:
    """Return when each message of a log is said, in seconds: a minute's messages evenly within it.

    The clock runs such that the whole log takes ``lasts_s``; with ``speed``, so many times faster instead.
    """
    real: list[float] = []
    for minute, messages in groupby(log, key=lambda message: message.minute):
        count = len(list(messages))
        real += [60.0 * (minute + n / count) for n in range(count)]
    faster = speed or 60.0 * (log[-1].minute + 1) / lasts_s
    return [moment / faster for moment in real]


def _step(before: int, now: int) -> int:
    return now - before if now >= before else (now - before) % DIAL_MINUTES


def _decoded(text: bytes) -> str:
    """IRC names no encoding: UTF-8 where it is valid, otherwise Latin-1, which always is."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
