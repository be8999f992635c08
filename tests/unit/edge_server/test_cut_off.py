"""Who is closed where the log falls silent: whoever is here when that has lasted too long. Nobody twice."""

import logging
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_server.clients import Client
from edge_server.cut_off import BLIND_AFTER_S, CLOSED_BECAUSE, CUT_OFF_AFTER_S, CutOff
from edge_server.moves import STEP_S
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings

PER_S = 20.0
EVERYBODY_WENT_S = 60.0


@dataclass(eq=False)
class Student:
    """A connection."""

    sid: str
    up: str = "up201906049"
    gone: bool = False
    rooms: frozenset[str] = frozenset()


@dataclass
class Edge:
    """An edge, as far as it closes clients, and a log that is silent for as long as is said."""

    silent_s: float = 0.0
    blind_s: float = 0.0
    now: float = 0.0
    rooms: Rooms = field(default_factory=Rooms)
    closed: list[Client] = field(default_factory=list)
    came: int = 0

    def __post_init__(self) -> None:
        settings = EdgeSettings(move_clients_per_s=PER_S)
        self.cut_off = CutOff(settings, self.rooms, lambda: self.silent_s, lambda: self.blind_s, self.close)

    def connect(self, students: int) -> None:
        for _ in range(students):
            self.came += 1
            self.rooms.add(cast(Client, Student(str(self.came))))

    def close(self, client: Client, reason: str) -> None:
        assert reason == CLOSED_BECAUSE
        self.closed.append(client)
        self.rooms.remove(client)

    def step(self) -> None:
        self.now += STEP_S
        self.cut_off._check()
        self.cut_off._step(self.now)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.step()


@given(before=st.integers(0, 60), meanwhile=st.integers(0, 60), outages=st.integers(1, 3))
def test_in_each_outage_those_go_who_were_here_when_it_became_one(
    before: int, meanwhile: int, outages: int
) -> None:
    edge = Edge()
    for _ in range(outages):
        edge.connect(before)
        here = set(edge.rooms.clients.values())
        edge.silent_s = CUT_OFF_AFTER_S - 0.1
        edge.run(1.0)
        assert (edge.closed, edge.cut_off.fault()) == ([], None)
        edge.silent_s = CUT_OFF_AFTER_S
        edge.step()
        assert edge.cut_off.fault() == "the log has taken no report for 30 s"
        edge.connect(meanwhile)
        edge.run(EVERYBODY_WENT_S)
        assert (set(edge.closed), len(edge.closed)) == (here, len(here))
        assert len(edge.rooms.clients) == meanwhile
        edge.silent_s = 0.0
        edge.step()
        edge.closed.clear()


@given(students=st.integers(0, 300), seconds=st.floats(0, 10))
def test_no_more_go_in_a_second_than_others_can_let_in(students: int, seconds: float) -> None:
    edge = Edge()
    edge.connect(students)
    edge.step()
    edge.silent_s = CUT_OFF_AFTER_S
    edge.run(seconds)
    assert len(edge.closed) <= (seconds + 3 * STEP_S) * PER_S


def test_who_has_yet_to_go_stays_when_the_log_answers() -> None:
    edge = Edge(silent_s=CUT_OFF_AFTER_S)
    edge.connect(100)
    edge.run(1.0)
    closed = len(edge.closed)
    assert 0 < closed < 100
    edge.silent_s = 0.0
    edge.run(EVERYBODY_WENT_S)
    assert (len(edge.closed), edge.cut_off.fault()) == (closed, None)


def test_who_is_deaf_and_sees_no_table_lets_clients_go_once_too_and_those_who_are_sent_back_may_come() -> (
    None
):
    edge = Edge()
    edge.connect(10)
    edge.blind_s = BLIND_AFTER_S - 0.1
    edge.run(1.0)
    assert edge.closed == []
    edge.blind_s = BLIND_AFTER_S
    edge.run(EVERYBODY_WENT_S)
    edge.connect(10)
    edge.run(EVERYBODY_WENT_S)
    assert (len(edge.closed), len(edge.rooms.clients), edge.cut_off.fault()) == (10, 10, None)


def test_an_outage_is_an_error_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    edge = Edge(silent_s=CUT_OFF_AFTER_S)
    edge.connect(3)
    edge.run(1.0)
    said = [one.message for one in caplog.records if one.levelno == logging.ERROR]
    assert said == ["cut off from the log: clients are closed"]
