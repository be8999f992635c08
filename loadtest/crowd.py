"""The students and groups of a run. Pure: the same run and scenario give the same crowd.

Each process has its own students, whose groups hold nobody else. So it can judge alone what they must
receive, and clocks of two processes are never compared.
"""

import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.irc_logs import IrcMessage
from loadtest.scenario import Scenario
from schemas.up_number import CIRCLE, up_at

_STRIDE: Final = 618_033_989
"""Coprime to `CIRCLE`: no two indexes give the same number, and any few spread over the circle."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group to be created; its first member creates it."""

    id: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Crowd:
    """The students and groups of one process."""

    students: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def rooms(self) -> dict[str, tuple[str, ...]]:
        """By student: the groups that they are in."""
        found: dict[str, list[str]] = {up: [] for up in self.students}
        for group in self.groups:
            for up in group.members:
                found[up].append(group.id)
        return {up: tuple(ids) for up, ids in found.items()}


def made_up_number(run: str, index: int) -> str:
    """Return the UP number of a run's student; no two indexes have the same."""
    return up_at((zlib.crc32(run.encode()) + index * _STRIDE) % CIRCLE)


def share_of(total: int, number: int, of: int) -> range:
    """Return which of ``total`` things are the ``number``-th process's, from 0."""
    return range(total * number // of, total * (number + 1) // of)


def make_crowd(scenario: Scenario, run: str, number: int, of: int, ups: Sequence[str] = ()) -> Crowd:
    """Return the crowd of one of ``of`` processes. ``ups`` are all students there are, where they are given.

    Whole groups are shared: how large they are does not depend on how many processes there are.
    Raises ValueError where there are too few.
    """
    size = scenario.group_size
    share = share_of(scenario.groups_for_all, number, of)
    students = _numbers(scenario.students, run, ups)[share.start * size : share.stop * size]
    rng = random.Random(f"{run} {number}")
    groups: list[Group] = []
    for _ in range(scenario.groups_each):
        for start in range(0, len(students), size):
            members = tuple(students[start : start + size])
            groups.append(Group(f"load-{run}-{number}-{len(groups)}", members))
        rng.shuffle(students)
    return Crowd(tuple(students), tuple(groups))


def replay_crowd(
    logs: Mapping[str, Sequence[IrcMessage]], run: str, ups: Sequence[str] = ()
) -> tuple[Crowd, dict[str, str]]:
    """Return the crowd of a replay, every log a group, and the UP number of every nick.

    Raises ValueError where there are too few.
    """
    nicks = sorted({message.nick for log in logs.values() for message in log})
    by_nick = dict(zip(nicks, _numbers(len(nicks), run, ups), strict=True))
    groups = [
        Group(f"load-{run}-irc-{number}", tuple(sorted({by_nick[message.nick] for message in log})))
        for number, (_, log) in enumerate(sorted(logs.items()))
    ]
    return Crowd(tuple(by_nick.values()), tuple(groups)), by_nick


def _numbers(students: int, run: str, ups: Sequence[str]) -> list[str]:
    if ups and len(ups) < students:
        raise ValueError(f"{students} students are wanted, and tokens are there for {len(ups)}")
    return list(ups[:students]) if ups else [made_up_number(run, index) for index in range(students)]
