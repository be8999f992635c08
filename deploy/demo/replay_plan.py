"""Plans a replay: logs become groups, students and messages with times. Pure.

A nick's UP number is nine digits of a hash of its bytes, so it is the same in all logs and replays. If two
nicks collide (of our 3,058 no two do), the later one in alphabetical order is hashed again with a count.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from deploy.demo.university import PlannedGroup, Student
from loadtest.irc_logs import IrcMessage
from loadtest.schedule import Line, replayed
from schemas.log_records import MAX_NAME_CHARS
from schemas.up_number import CIRCLE, DIGITS

LASTS_S: Final = 90.0
"""Without a speed every log is compressed to this, all in parallel."""


@dataclass(frozen=True)
class ReplayPlan:
    """A whole replay. ``lines``, by their ids, are in the order of their moments."""

    students: tuple[Student, ...]
    groups: tuple[PlannedGroup, ...]
    lines: Mapping[str, Line]
    lasts_s: float

    @property
    def deliveries(self) -> int:
        """Number of expected deliveries: every message goes to all members of its group."""
        members = {group.id: len(group.members) for group in self.groups}
        return sum(members[line.room] for line in self.lines.values())


def plan_replay(
    logs: Mapping[str, Sequence[IrcMessage]], *, run: str, speed: float | None = None
) -> ReplayPlan:
    """Return the plan of a replay of ``logs`` (by file name). Its message ids begin with ``run``.

    With ``speed`` all clocks run so many times faster, each from its log's first minute; without, each
    log is compressed so that it lasts `LASTS_S`.
    """
    ups = up_numbers(message.nick for log in logs.values() for message in log)
    rooms = room_ids(logs)
    groups = tuple(
        PlannedGroup(rooms[name], readable(name), tuple(sorted({ups[message.nick] for message in log})))
        for name, log in sorted(logs.items())
    )
    lines = replayed(logs, [group.id for group in groups], ups, 0.0, LASTS_S, speed)
    students = tuple(Student(up, username_of(nick, up), readable(nick)) for nick, up in sorted(ups.items()))
    by_id = {f"{run}-{n}": line for n, line in enumerate(lines)}
    return ReplayPlan(students, groups, by_id, lines[-1].at_s if lines else 0.0)


def up_numbers(nicks: Iterable[str]) -> dict[str, str]:
    """Return a UP number for each nick, no two the same."""
    taken: dict[str, str] = {}
    for nick in sorted(set(nicks)):
        tries = 0
        while (up := _hashed(nick, tries)) in taken:
            tries += 1
        taken[up] = nick
    return {nick: up for up, nick in taken.items()}


def room_ids(names: Iterable[str]) -> dict[str, str]:
    """Return a group id for each file name, no two the same."""
    ids: dict[str, str] = {}
    for name in sorted(names):
        plain = re.sub(r"[^A-Za-z0-9_.-]", "-", name.removesuffix(".log"))[:48]
        room, count = f"irc-{plain}", 1
        while room in ids.values():
            count += 1
            room = f"irc-{plain}-{count}"
        ids[name] = room
    return ids


def username_of(nick: str, up: str) -> str:
    """Return a nick as a username, or the UP number if the nick has unusual characters."""
    return nick if re.fullmatch(r"[\w.|^`{}\[\]\\-]{1,64}", nick) else up


def readable(name: str) -> str:
    """Return a name as valid text of at most `MAX_NAME_CHARS`; a file name need not be text."""
    return name.encode(errors="replace").decode()[:MAX_NAME_CHARS]


def _hashed(nick: str, tries: int) -> str:
    text = nick if tries == 0 else f"{nick} {tries}"
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return f"up{int.from_bytes(digest, 'big') % CIRCLE:0{DIGITS}d}"
