"""Reads IRC logs as messages: who said what, in which minute. Pure; opens no file.

A line ``[HH:MM] <nick> text`` is a message. Joins and renames (``===``) and actions
(``* nick waves``) are not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

DIAL_MINUTES: Final = 12 * 60

_MESSAGE: Final = re.compile(rb"\[([0-2][0-9]):([0-5][0-9])\] <([^>]+)> ?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class IrcMessage:
    """A message. ``minute`` counts from the first message of its log and never goes back."""

    minute: int
    nick: str
    text: str


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


def moments(log: Sequence[IrcMessage], lasts_s: float | None = None) -> list[float]:
    """Return when each message of a log is said, in seconds: a minute's messages evenly within it.

    With ``lasts_s`` the clock runs such that the whole log takes that long.
    """
    real: list[float] = []
    for minute, messages in groupby(log, key=lambda message: message.minute):
        count = len(list(messages))
        real += [60.0 * (minute + n / count) for n in range(count)]
    factor = 1.0 if lasts_s is None else lasts_s / real_length_s(log)
    return [moment * factor for moment in real]


def real_length_s(log: Sequence[IrcMessage]) -> float:
    """Return how long a log, which may not be empty, lasts by its own clock."""
    return 60.0 * (log[-1].minute + 1)


def _step(before: int, now: int) -> int:
    return now - before if now >= before else (now - before) % DIAL_MINUTES


def _decoded(text: bytes) -> str:
    """IRC names no encoding: UTF-8 where it is valid, otherwise Latin-1, which always is."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
