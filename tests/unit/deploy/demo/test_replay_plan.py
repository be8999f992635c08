"""Who is who is a pure rule, and the clock of each log gives its rhythm."""

import string
from itertools import accumulate, groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from deploy.demo import replay_plan
from deploy.demo.replay_plan import LASTS_S, plan_replay, room_ids, up_numbers, username_of
from loadtest.irc_logs import IrcMessage, moments, read_logs
from schemas.api import Name, UserState
from schemas.ids import GroupId, MessageId
from schemas.up_number import UpNumber

REAL_LOGS = Path(__file__).resolve().parents[5] / "shared" / "data" / "irc"

nicks = st.text(min_size=1, max_size=20)


def log_of(said: list[tuple[int, str, str]]) -> list[IrcMessage]:
    minutes = accumulate(step for step, _, _ in said)
    return [IrcMessage(minute, nick, text) for minute, (_, nick, text) in zip(minutes, said, strict=True)]


logs = st.lists(st.tuples(st.integers(0, 3), nicks, st.text(max_size=30)), min_size=1, max_size=20).map(
    log_of
)
names = st.text(string.ascii_letters + string.digits + " .é-_/", max_size=80)


@given(st.sets(nicks), st.sets(nicks))
def test_a_nick_has_the_same_number_in_every_replay(some: set[str], others: set[str]) -> None:
    first, second = up_numbers(some), up_numbers(some | others)
    assert all(second[nick] == up for nick, up in first.items())


@given(st.sets(nicks, min_size=2))
def test_numbers_are_well_formed_and_differ(some: set[str]) -> None:
    ups = up_numbers(some)
    assert len(set(ups.values())) == len(some)
    for up in ups.values():
        assert TypeAdapter(UpNumber).validate_python(up) == up


@given(st.sets(nicks, min_size=2, max_size=20))
def test_where_nicks_meet_the_later_one_moves_on(some: set[str]) -> None:
    few = {nick: f"up{n % 2:09d}" for n, nick in enumerate(sorted(some))}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            replay_plan, "_hashed", lambda nick, tries: f"up{int(few[nick][2:]) + 10 * tries:09d}"
        )
        ups = up_numbers(some)
        assert len(set(ups.values())) == len(some)
        assert [ups[nick] for nick in sorted(some)[:2]] == [few[nick] for nick in sorted(some)[:2]]


@given(logs)
def test_messages_keep_their_order_and_a_minute_is_filled_evenly(log: list[IrcMessage]) -> None:
    at = moments(log, LASTS_S, speed=1.0)
    assert at == sorted(at)
    for minute, of_minute in groupby(zip(log, at, strict=True), key=lambda pair: pair[0].minute):
        said = [moment for _, moment in of_minute]
        assert said[0] == 60.0 * minute
        assert said[-1] < 60.0 * (minute + 1)
        gaps = [after - before for before, after in pairwise(said)]
        assert all(abs(gap - 60.0 / len(said)) < 1e-6 for gap in gaps)


@given(logs, st.floats(0.1, 10_000))
@settings(max_examples=30)
def test_speed_compresses_the_clock(log: list[IrcMessage], speed: float) -> None:
    for slow, fast in zip(moments(log, LASTS_S, speed=1.0), moments(log, LASTS_S, speed), strict=True):
        assert fast == pytest.approx(slow / speed)


@given(st.dictionaries(names, logs, max_size=4))
def test_without_a_speed_all_logs_run_side_by_side_for_the_same_time(
    by_name: dict[str, list[IrcMessage]],
) -> None:
    plan = plan_replay(by_name, run="r")
    assert all(0 <= line.at_s < LASTS_S for line in plan.lines.values())
    assert [line.at_s for line in plan.lines.values()] == sorted(line.at_s for line in plan.lines.values())


@given(st.dictionaries(names, logs, max_size=4))
def test_every_message_is_planned_once_by_a_member_and_every_nick_is_a_member(
    by_name: dict[str, list[IrcMessage]],
) -> None:
    plan = plan_replay(by_name, run="r")
    rooms = room_ids(by_name)
    members = {group.id: set(group.members) for group in plan.groups}
    nick_of = {student.up: student.name for student in plan.students}
    said: dict[str, list[tuple[str, str]]] = {room: [] for room in members}
    for line in plan.lines.values():
        said[line.room].append((nick_of[line.up], line.text))
    for name, log in by_name.items():
        assert said[rooms[name]] == [(message.nick, message.text) for message in log]
        assert {nick_of[up] for up in members[rooms[name]]} == {message.nick for message in log}
    assert plan.deliveries == sum(len(members[line.room]) for line in plan.lines.values())


@given(st.dictionaries(names, logs, max_size=3))
def test_ids_are_those_that_the_contract_allows(by_name: dict[str, list[IrcMessage]]) -> None:
    plan = plan_replay(by_name, run="0123abcd")
    for group in plan.groups:
        TypeAdapter(GroupId).validate_python(group.id)
    for message_id in plan.lines:
        TypeAdapter(MessageId).validate_python(message_id)


@given(st.sets(names, max_size=8))
def test_every_log_has_a_group_of_its_own(some: set[str]) -> None:
    assert len(set(room_ids(some).values())) == len(some)


@pytest.mark.parametrize("odd", ["caf\udce9.log", "n" * 250])
def test_names_are_those_that_the_contract_allows(odd: str) -> None:
    """A name of a file is any bytes: those that are no text come as lone surrogates."""
    plan = plan_replay({odd: [IrcMessage(0, odd, "olá")]}, run="run")
    for name in (plan.groups[0].name, plan.students[0].name):
        assert TypeAdapter(Name).validate_python(name) == name
        assert name.encode().decode() == name


@given(nicks, st.integers(0, 10**9 - 1))
def test_a_username_is_never_refused(nick: str, number: int) -> None:
    up = f"up{number:09d}"
    UserState(up=up, username=username_of(nick, up), name="Ana", online=False)


@pytest.mark.skipif(not REAL_LOGS.is_dir(), reason="the real logs are not beside the checkout")
def test_the_real_logs_give_the_known_replay() -> None:
    plan = plan_replay(read_logs(REAL_LOGS), run="r")
    assert (len(plan.groups), len(plan.students), len(plan.lines)) == (24, 3_058, 30_973)
    assert plan.deliveries == 4_318_849
    hashed = {replay_plan._hashed(student.name, 0) for student in plan.students}
    assert len(hashed) == 3_058, "no two nicks meet, so that each number is the plain rule's"
