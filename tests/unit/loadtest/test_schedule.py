"""A plan says what its scenario says: who is in which group, who comes when, who talks when."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from loadtest import schedule
from loadtest.crowd import made_up_number, make_crowd, replay_crowd, share_of
from loadtest.irc_logs import parse
from loadtest.scenario import Phase, Replay, Scenario, load, ready_ones
from schemas.ids import GroupId
from schemas.log_records import MAX_TEXT_BYTES
from schemas.up_number import UpNumber


def scenario(*phases: Phase, students: int = 60, group_size: int = 7, groups_each: int = 1) -> Scenario:
    return Scenario(
        name="test",
        about="a test's",
        students=students,
        group_size=group_size,
        groups_each=groups_each,
        phases=phases or (Phase(name="talk", seconds=10, each_s=2),),
    )


@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 3), st.integers(1, 4))
@settings(max_examples=30)
def test_every_student_is_in_as_many_groups_as_was_asked_for(
    students: int, group_size: int, groups_each: int, of: int
) -> None:
    wanted = scenario(students=students, group_size=group_size, groups_each=groups_each)
    crowds = [make_crowd(wanted, "run", number, of) for number in range(of)]
    everybody = [up for crowd in crowds for up in crowd.students]
    assert len(set(everybody)) == len(everybody) == students
    assert TypeAdapter(list[UpNumber]).validate_python(everybody) == everybody
    assert all(len(rooms) == groups_each for crowd in crowds for rooms in crowd.rooms.values())
    groups = [group for crowd in crowds for group in crowd.groups]
    assert all(1 <= len(group.members) <= group_size for group in groups)
    TypeAdapter(set[GroupId]).validate_python({group.id for group in groups})
    assert len({group.id for group in groups}) == len(groups)


@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 9))
def test_groups_are_as_large_however_many_processes_there_are(
    students: int, group_size: int, of: int
) -> None:
    wanted = scenario(students=students, group_size=group_size)
    sizes = [
        sorted(
            len(group.members)
            for number in range(share)
            for group in make_crowd(wanted, "run", number, share).groups
        )
        for share in (1, of)
    ]
    assert sizes[0] == sizes[1]
    assert len(sizes[0]) == wanted.groups_for_all


@given(st.integers(0, 1000), st.integers(1, 9))
def test_shares_are_everything_once_and_even(total: int, of: int) -> None:
    shares = [share_of(total, number, of) for number in range(of)]
    assert [index for share in shares for index in share] == list(range(total))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_made_up_students_are_spread_over_all_last_digits_and_differ_from_run_to_run() -> None:
    ups = [made_up_number("run", index) for index in range(1000)]
    assert all(80 <= count <= 120 for count in Counter(up[-1] for up in ups).values())
    assert not set(ups) & {made_up_number("another", index) for index in range(1000)}


def test_tokens_for_all_are_enough_and_one_less_is_an_error_that_says_so() -> None:
    ups = [f"up{n:09}" for n in range(60)]
    assert set(make_crowd(scenario(), "run", 0, 1, ups=ups).students) == set(ups)
    with pytest.raises(ValueError, match="60 students are wanted"):
        make_crowd(scenario(), "run", 0, 1, ups=ups[1:])


@given(st.floats(0.5, 5), st.floats(2, 20), st.integers(1, 50))
@settings(max_examples=30)
def test_every_student_talks_in_a_rhythm_of_their_own_and_the_plan_is_in_order(
    each_s: float, seconds: float, students: int
) -> None:
    wanted = scenario(
        Phase(name="come", seconds=1, measured=False),
        Phase(name="talk", seconds=seconds, each_s=each_s),
        students=students,
    )
    crowd = make_crowd(wanted, "run", 0, 1)
    lines = list(schedule.talk(wanted, crowd, "seed"))
    assert all(before.at_s <= after.at_s for before, after in pairwise(lines))
    assert all(1 <= line.at_s < 1 + seconds for line in lines)
    said = Counter(line.up for line in lines)
    assert all(abs(said[up] - seconds / each_s) <= 1 for up in crowd.students)
    assert all(line.room in crowd.rooms[line.up] for line in lines)
    assert lines == list(schedule.talk(wanted, crowd, "seed"))


def test_a_burst_is_said_by_everybody_within_its_time() -> None:
    wanted = scenario(
        Phase(name="come", seconds=5, measured=False),
        Phase(name="break", seconds=10, burst=3, burst_within_s=2),
    )
    crowd = make_crowd(wanted, "run", 0, 1)
    lines = list(schedule.talk(wanted, crowd, "seed"))
    assert Counter(line.up for line in lines) == dict.fromkeys(crowd.students, 3)
    assert all(5 <= line.at_s <= 7 for line in lines)
    assert len({line.at_s for line in lines}) == len(lines)


def test_in_a_burst_nobody_speaks_who_has_yet_to_come() -> None:
    wanted = scenario(
        Phase(name="nobody", seconds=5, online=0, each_s=1),
        Phase(name="half", seconds=5, online=0.5, measured=False),
        Phase(name="break", seconds=10, burst=3, burst_within_s=2),
    )
    crowd = make_crowd(wanted, "run", 0, 1)
    lines = list(schedule.talk(wanted, crowd, "seed"))
    assert Counter(line.up for line in lines) == dict.fromkeys(crowd.students[:30], 3)


def test_a_burst_ends_with_its_phase_so_that_nothing_later_is_held_up() -> None:
    wanted = scenario(
        Phase(name="come", seconds=5, measured=False),
        Phase(name="break", seconds=2, burst=3, burst_within_s=20),
        Phase(name="lecture", seconds=10, each_s=1),
    )
    lines = list(schedule.talk(wanted, make_crowd(wanted, "run", 0, 1), "seed"))
    assert all(before.at_s <= after.at_s for before, after in pairwise(lines))


def test_what_is_said_in_a_phase_that_is_not_measured_is_not_either() -> None:
    wanted = scenario(
        Phase(name="warm up", seconds=5, each_s=1, measured=False), Phase(name="talk", seconds=5, each_s=1)
    )
    lines = list(schedule.talk(wanted, make_crowd(wanted, "run", 0, 1), "seed"))
    assert {line.measured for line in lines if line.at_s < 5} == {False}
    assert {line.measured for line in lines if line.at_s >= 5} == {True}


def test_students_come_evenly_and_nobody_talks_before_they_come() -> None:
    wanted = scenario(
        Phase(name="half", seconds=10, online=0.5, each_s=1), Phase(name="all", seconds=10, each_s=1)
    )
    crowd = make_crowd(wanted, "run", 0, 1)
    comes = dict(zip(crowd.students, schedule.arrivals(wanted, 60), strict=True))
    assert list(comes.values()) == pytest.approx([(n + 1) / 3 for n in range(60)])
    assert all(line.at_s >= comes[line.up] for line in schedule.talk(wanted, crowd, "seed"))


def test_networks_fail_for_as_many_as_was_said() -> None:
    wanted = scenario(Phase(name="talk", seconds=5), Phase(name="storm", seconds=5, lose=0.5))
    crowd = make_crowd(wanted, "run", 0, 1)
    ((at_s, ups),) = schedule.losses(wanted, crowd.students, "seed")
    assert at_s == 5
    assert len(set(ups)) == 30


def test_only_measured_time_counts_and_touching_stretches_are_one() -> None:
    wanted = scenario(
        Phase(name="a", seconds=1, measured=False),
        Phase(name="b", seconds=2),
        Phase(name="c", seconds=3),
        Phase(name="d", seconds=4, measured=False),
        Phase(name="e", seconds=5),
    )
    assert schedule.measured_between(wanted) == [(1, 6), (10, 15)]
    replay = Replay(folder=Path("logs"), seconds=90)
    assert schedule.measured_between(wanted.model_copy(update={"replay": replay})) == [(1, 6), (10, 105)]


def test_a_replay_says_every_line_of_the_logs_within_its_time() -> None:
    logs = {
        "b.log": parse(b"[23:59] <ana> four"),
        "a.log": parse(b"[10:00] <ana> um\n[10:01] <rui> dois\n[10:01] <ana> tres"),
    }
    crowd, ups = replay_crowd(logs, "run")
    lines = schedule.replayed(logs, [group.id for group in crowd.groups], ups, 5.0, 10.0)
    assert [(line.at_s, line.up == ups["ana"], line.text) for line in lines] == [
        (5.0, True, "um"), (5.0, True, "four"), (10.0, False, "dois"), (12.5, True, "tres"),
    ]  # fmt: skip
    assert [len(group.members) for group in crowd.groups] == [2, 1]
    assert all(line.room in crowd.rooms[line.up] for line in lines)


def test_a_replay_is_said_by_the_students_of_a_token_file_where_there_are_enough() -> None:
    logs = {"a.log": parse(b"[10:00] <ana> um\n[10:01] <rui> dois")}
    crowd, ups = replay_crowd(logs, "run", ("up000000001", "up000000002", "up000000003"))
    assert set(crowd.students) == set(ups.values()) == {"up000000001", "up000000002"}
    with pytest.raises(ValueError, match="for 1"):
        replay_crowd(logs, "run", ("up000000001",))


def test_every_ready_scenario_can_be_read_and_says_what_it_is_for() -> None:
    ready = ready_ones()
    assert {"smoke", "steady", "ramp", "lecture-break", "storm", "irc", "soak"} <= {one.name for one in ready}
    for one in ready:
        assert load(one.name) == one
        assert one.about.endswith((".", "?"))


A_PHASE = '[[phases]]\nname="a"\nseconds=1\n'
A_REPLAY = "[replay]\nfolder='.'\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "needs phases"),
        (A_REPLAY, "needs phases"),
        (A_PHASE + "online=0.5\n" + A_REPLAY, "a replay needs all students online"),
        ("student=3\n" + A_PHASE, "student"),
        (A_PHASE + A_PHASE + "online=0.5", "fall"),
        ("text_chars=15_501\n" + A_PHASE, "text_chars"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused_with_the_reason(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "x.toml").write_text('name="x"\nabout="y"\n' + text)
    with pytest.raises(ValueError, match=rf"(?s)x\.toml .*{says}"):
        load(str(tmp_path / "x.toml"))


def test_the_longest_text_is_as_long_as_was_asked_for_and_one_that_an_edge_takes() -> None:
    text = schedule.sample_text(15_500)
    assert len(text) == 15_500
    assert len(text.encode()) <= MAX_TEXT_BYTES


def test_a_scenario_that_is_not_there_is_said_so() -> None:
    with pytest.raises(ValueError, match="neither a ready scenario nor a file"):
        load("steddy")


def test_stretching_changes_measured_phases_only() -> None:
    wanted = scenario(Phase(name="come", seconds=4, measured=False), Phase(name="talk", seconds=10))
    assert [phase.seconds for phase in wanted.stretched(0.5).phases] == [4, 5]
