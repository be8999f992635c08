"""Plans when students connect, when they send what, and when networks fail. Pure.

All moments are planned before the run, in seconds from its start: the load is open loop.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace, merge
from itertools import pairwise
from typing import Final

from loadtest.crowd import Crowd
from loadtest.irc_logs import IrcMessage, moments
from loadtest.scenario import Phase, Scenario

WORDS: Final = (
    "a aula de amanhã começa às dez e meia na sala B 101 quem tem os apontamentos do laboratório "
    "obrigado até logo o prazo do trabalho é sexta alguém percebeu o exercício três do capítulo "
)


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One message to be sent."""

    at_s: float
    up: str
    room: str
    text: str
    measured: bool = True
    """Whether its latencies count for the objectives, however late it arrives."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A phase with its place in time."""

    phase: Phase
    starts_s: float
    online_before: float

    @property
    def ends_s(self) -> float:
        """When it is over."""
        return self.starts_s + self.phase.seconds


def stretches(scenario: Scenario) -> list[Stretch]:
    """Return all phases with their places in time."""
    found: list[Stretch] = []
    at, online = 0.0, 0.0
    for phase in scenario.phases:
        found.append(Stretch(phase, at, online))
        at, online = at + phase.seconds, phase.online
    return found


def arrivals(scenario: Scenario, students: int) -> list[float]:
    """Return when each student comes online, in their order; those who never do are left out."""
    moments_s: list[float] = []
    for stretch in stretches(scenario):
        before, after = stretch.online_before, stretch.phase.online
        first, last = round(before * students), round(after * students)
        moments_s += [
            stretch.starts_s + stretch.phase.seconds * (n + 1) / (last - first) for n in range(last - first)
        ]
    return moments_s


def losses(scenario: Scenario, students: Sequence[str], seed: str) -> list[tuple[float, list[str]]]:
    """Return whose network fails when."""
    rng = random.Random(f"losses {seed}")
    return [
        (stretch.starts_s, rng.sample(students, round(stretch.phase.lose * len(students))))
        for stretch in stretches(scenario)
        if stretch.phase.lose > 0
    ]


def talk(scenario: Scenario, crowd: Crowd, seed: str) -> Iterator[Line]:
    """Yield the messages of the phases, in the order of time."""
    rng = random.Random(f"talk {seed}")
    rooms, comes = crowd.rooms, arrivals(scenario, len(crowd.students))
    text = sample_text(scenario.text_chars)
    for stretch in stretches(scenario):
        steady, burst = _steady(rng, stretch, comes), _burst(rng, stretch, comes)
        for at_s, student in merge(steady, burst):
            up = crowd.students[student]
            yield Line(at_s, up, rng.choice(rooms[up]), text, stretch.phase.measured)


def replayed(
    logs: Mapping[str, Sequence[IrcMessage]],
    rooms: Iterable[str],
    ups: Mapping[str, str],
    starts_s: float,
    lasts_s: float,
    speed: float | None = None,
) -> list[Line]:
    """Return what the logs say, each in its room, in the order of its moments (as `irc_logs` times them)."""
    lines = [
        Line(starts_s + at_s, ups[message.nick], room, message.text)
        for room, (_, log) in zip(rooms, sorted(logs.items()), strict=True)
        for at_s, message in zip(moments(log, lasts_s, speed), log, strict=True)
    ]
    return sorted(lines, key=lambda line: line.at_s)


def sample_text(chars: int) -> str:
    """Return ordinary words of so many characters."""
    return (WORDS * (chars // len(WORDS) + 1))[:chars]


def _steady(rng: random.Random, stretch: Stretch, comes: Sequence[float]) -> Iterator[tuple[float, int]]:
    """Yield, in order, a message of each online student every ``each_s`` seconds, from a random start on."""
    every_s = stretch.phase.each_s
    if every_s is None:
        return
    heap = [
        (max(at_s, stretch.starts_s) + rng.random() * every_s, student)
        for student, at_s in enumerate(comes)
        if at_s <= stretch.ends_s
    ]
    heapify(heap)
    while heap and heap[0][0] < stretch.ends_s:
        at_s, student = heap[0]
        yield at_s, student
        heapreplace(heap, (at_s + every_s, student))


def _burst(rng: random.Random, stretch: Stretch, comes: Sequence[float]) -> Iterator[tuple[float, int]]:
    online = [student for student, at_s in enumerate(comes) if at_s <= stretch.starts_s]
    within_s = min(stretch.phase.burst_within_s, stretch.phase.seconds)
    yield from sorted(
        (stretch.starts_s + rng.random() * within_s, student)
        for student in online
        for _ in range(stretch.phase.burst)
    )


def measured_between(scenario: Scenario) -> list[tuple[float, float]]:
    """Return the stretches of time whose latencies count, in seconds; touching ones are one."""
    spans = [(one.starts_s, one.ends_s) for one in stretches(scenario) if one.phase.measured]
    if scenario.replay is not None:
        ends = sum(phase.seconds for phase in scenario.phases)
        spans.append((ends, ends + scenario.replay.seconds))
    joined = spans[:1]
    for (_, before), (starts, ends) in pairwise(spans):
        if starts <= before:
            joined[-1] = (joined[-1][0], ends)
        else:
            joined.append((starts, ends))
    return joined
