"""The memory finds nothing wrong with what is right, and each planted fault by its name."""

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.memory import FORGET_AFTER_S, Faults, Memory, SentMessage
from tests.unit.clock import Clock
from tests.unit.loadtest.one_room import HEAD, UPS, message


class Room:
    """One room of three members, in which every message arrives as a test says."""

    def __init__(self, seqs: list[int]) -> None:
        self.clock = Clock()
        self.memory = Memory(dict.fromkeys(UPS, ("leic",)), self.clock)
        self.messages = {seq: message(seq) for seq in seqs}
        for up in UPS:
            self.memory.came.add(up)
            self.memory.add_joined(up, "leic", HEAD)
        for seq in seqs:
            self.say(f"m{seq}")
            self.memory.add_ack(f"m{seq}", seq)
        self.listeners = {up: self.memory.listener(up) for up in UPS}

    def say(self, name: str) -> None:
        self.memory.add_sent(name, SentMessage("leic", UPS[0], "olá", planned_at=0.0, sent_at=1))

    def hear(self, up: str, seqs: list[int]) -> None:
        for seq in seqs:
            self.listeners[up](self.messages[seq])

    def all_hear(self, seqs: list[int], of: tuple[str, ...] = UPS) -> None:
        for up in of:
            self.hear(up, seqs)

    def wrong(self) -> dict[str, int]:
        return {name: count for name, count in asdict(self.memory.verdict()).items() if count}


some_seqs = st.lists(st.integers(HEAD + 1, HEAD + 60), min_size=2, max_size=20, unique=True).map(sorted)


@given(some_seqs)
def test_all_messages_once_and_in_order_are_right(seqs: list[int]) -> None:
    room = Room(seqs)
    room.all_hear(seqs)
    assert room.memory.verdict() == Faults()
    assert room.memory.outstanding() == 0
    assert room.memory.received == len(seqs) * len(UPS) == room.memory.deliver.total
    assert room.memory.own.total == len(seqs), "only the sender reads their own"
    assert room.memory.acked == len(seqs) == room.memory.ack.total


@given(some_seqs, st.data())
def test_a_dropped_message_is_missing(seqs: list[int], data: st.DataObject) -> None:
    room, dropped = Room(seqs), data.draw(st.sampled_from(seqs))
    room.hear(UPS[0], seqs)
    room.hear(UPS[1], [seq for seq in seqs if seq != dropped])
    room.hear(UPS[2], seqs)
    assert room.wrong() == {"missing": 1}
    assert room.memory.outstanding() == 1


@given(some_seqs)
def test_what_was_acked_and_nobody_got_is_missing_for_everybody(seqs: list[int]) -> None:
    room = Room(seqs)
    assert room.wrong() == {"missing": len(seqs) * len(UPS)} == {"missing": room.memory.outstanding()}


@given(some_seqs, st.data())
def test_a_message_that_comes_twice_is_doubled(seqs: list[int], data: st.DataObject) -> None:
    room, at = Room(seqs), data.draw(st.integers(0, len(seqs) - 1))
    room.all_hear(seqs, of=UPS[:2])
    room.hear(UPS[2], [*seqs[: at + 1], *seqs[at:]])
    assert room.wrong() == {"doubled": 1}


@given(some_seqs, st.data())
def test_a_message_that_comes_twice_does_not_stand_for_one_that_was_dropped(
    seqs: list[int], data: st.DataObject
) -> None:
    room, dropped = Room(seqs), data.draw(st.sampled_from(seqs))
    for up in UPS[:2]:
        room.hear(up, seqs)
    came = [seq for seq in seqs if seq != dropped]
    at = data.draw(st.integers(0, len(came) - 1))
    room.hear(UPS[2], [*came[: at + 1], *came[at:]])
    assert room.wrong() == {"missing": 1, "doubled": 1}


@given(some_seqs, st.data())
def test_messages_that_come_again_do_not_stand_for_one_that_is_dropped_later(
    seqs: list[int], data: st.DataObject
) -> None:
    room, at = Room(seqs), data.draw(st.integers(1, len(seqs) - 1))
    for up in UPS[:2]:
        room.hear(up, seqs)
    again = seqs[data.draw(st.integers(0, at - 1)) : at]
    room.hear(UPS[2], [*seqs[:at], *again, *seqs[at + 1 :]])
    assert room.wrong() == {"missing": 1, "doubled": len(again)}


@given(some_seqs, st.data())
def test_swapped_messages_are_out_of_order_and_neither_missing_nor_doubled(
    seqs: list[int], data: st.DataObject
) -> None:
    room, at = Room(seqs), data.draw(st.integers(0, len(seqs) - 2))
    room.all_hear(seqs, of=UPS[:2])
    room.hear(UPS[2], [*seqs[:at], seqs[at + 1], seqs[at], *seqs[at + 2 :]])
    assert room.wrong() == {"disordered": 1}


def test_one_that_comes_again_after_a_swap_does_not_stand_for_one_that_is_dropped_later() -> None:
    room = Room([101, 102, 103, 104])
    room.all_hear([101, 102, 103, 104], of=UPS[:2])
    room.hear(UPS[2], [101, 103, 102, 101])
    assert room.wrong() == {"missing": 1, "doubled": 1, "disordered": 1}


def test_a_message_of_a_room_of_others_is_leaked() -> None:
    room = Room([])
    room.listeners[UPS[0]](message(101, room="lei"))
    assert room.wrong() == {"leaked": 1}


def test_other_groups_of_students_who_are_not_ours_alone_are_theirs_and_not_leaked() -> None:
    memory = Memory(dict.fromkeys(UPS, ("load-run-0-0",)), Clock(), group_prefix="load-run-")
    hear = memory.listener(UPS[0])
    memory.add_joined(UPS[0], "probe-up000000001", HEAD)
    hear(message(101, room="probe-up000000001"))
    assert memory.verdict().leaked == 0
    hear(message(101, room="load-run-1-0"))
    assert memory.verdict().leaked == 1


@pytest.mark.parametrize("wrong", [{"text": "ola"}, {"up": UPS[1]}, {"room": "lei"}, {"sent_at": 5}])
@pytest.mark.parametrize("acked_first", [True, False])
def test_a_message_that_is_not_as_it_was_sent_is_altered_before_and_after_its_ack(
    wrong: dict[str, Any], acked_first: bool
) -> None:
    memory = Memory(dict.fromkeys(UPS, ("leic", "lei")), Clock())
    memory.add_sent("m101", SentMessage("leic", UPS[0], "olá", planned_at=0.0, sent_at=1))
    if acked_first:
        memory.add_ack("m101", 101)
    for up in UPS:
        memory.listener(up)(message(101, **wrong))
    assert memory.verdict().altered == 1
    assert not memory.is_as_sent(message(101, **wrong))


def test_a_message_of_which_one_member_gets_another_copy_is_altered() -> None:
    room = Room([101])
    room.hear(UPS[0], [101])
    room.listeners[UPS[1]](message(101, text="ola"))
    room.hear(UPS[2], [101])
    assert room.wrong() == {"altered": 1}


def test_one_message_at_two_places_of_the_log_is_altered() -> None:
    room = Room([101])
    room.all_hear([101])
    for up in UPS:
        room.listeners[up](message(101).model_copy(update={"seq": 102}))
    assert room.wrong() == {"altered": 1}


@pytest.mark.parametrize("settled", [False, True])
def test_two_messages_at_one_place_of_the_log_are_altered_as_one_of_them_is_lost(settled: bool) -> None:
    room = Room([101])
    room.all_hear([101])
    if settled:
        room.clock.now = FORGET_AFTER_S + 1
        room.memory.forget_old()
        assert room.memory.sent == {}
    room.say("lost")
    room.memory.add_ack("lost", 101)
    assert room.wrong() == {"altered": 1}


@pytest.mark.parametrize("forgotten", [False, True])
def test_what_is_told_later_is_held_against_what_was_said_even_if_forgotten(
    forgotten: bool,
) -> None:
    room = Room([101, 102])
    room.all_hear([101, 102])
    if forgotten:
        room.clock.now = FORGET_AFTER_S + 1
        room.memory.forget_old()
    is_as_sent = room.memory.is_as_sent
    assert is_as_sent(message(101))
    for wrong in ({"id": "forged"}, {"id": "m102"}, {"seq": 103}, {"seq": 102}):
        assert not is_as_sent(message(101).model_copy(update=wrong))
    for wrong in ({"message": "ola"}, {"up": UPS[1]}, {"sent_at": 5}):
        assert not is_as_sent(message(101).model_copy(update=wrong))


def test_a_message_without_an_answer_is_not_acked_and_a_refused_one_is_answered() -> None:
    room = Room([])
    for name in ("lost", "refused"):
        room.say(name)
    room.memory.add_refusal("refused")
    assert room.wrong() == {"not_acked": 1}
    assert room.memory.refused == 1


def test_what_was_before_a_member_joined_is_not_theirs() -> None:
    room = Room([101, 102])
    room.memory.subscriptions[UPS[2]]["leic"].after = None
    room.memory.add_joined(UPS[2], "leic", 101)
    room.all_hear([101, 102], of=UPS[:2])
    room.hear(UPS[2], [102])
    assert room.wrong() == {}


def test_what_was_due_before_a_member_was_said_to_have_left_and_joined_again_is_still_theirs() -> None:
    room = Room([101, 102, 103])
    room.all_hear([101, 102, 103], of=UPS[:2])
    room.hear(UPS[2], [101])
    room.memory.add_joined(UPS[2], "leic", 103)
    assert room.wrong() == {"missing": 2}


def test_who_came_and_was_let_into_no_room_misses_everything_and_who_never_came_misses_nothing() -> None:
    room = Room([0, 1, 101, 102])
    room.all_hear([101, 102], of=UPS[:2])
    room.memory.subscriptions[UPS[2]]["leic"].after = None
    assert room.wrong() == {"missing": 4}
    room.memory.came.remove(UPS[2])
    assert room.wrong() == {}


@given(some_seqs, st.integers(HEAD, HEAD + 60), st.integers(HEAD, HEAD + 60))
def test_a_hole_that_the_edge_owned_up_to_is_not_missing(seqs: list[int], after: int, up_to: int) -> None:
    room, lost = Room(seqs), [seq for seq in seqs if after < seq <= up_to]
    room.all_hear(seqs, of=UPS[:2])
    room.hear(UPS[2], [seq for seq in seqs if seq not in lost])
    assert room.memory.verdict() == Faults(missing=len(lost))
    room.memory.subscriptions[UPS[2]]["leic"].holes = [(after, up_to)]
    assert room.memory.verdict() == Faults()


def test_what_nobody_said_is_altered_and_missing_for_members_who_did_not_get_it_as_others_did() -> None:
    room = Room([])
    room.messages = {seq: message(seq) for seq in (101, 102)}
    room.hear(UPS[0], [101, 102])
    room.hear(UPS[1], [102])
    assert room.wrong() == {"missing": 3, "altered": 2}


def test_a_message_under_an_id_that_we_never_gave_is_altered() -> None:
    room = Room([101, 102])
    room.all_hear([101, 102], of=UPS[:2])
    room.hear(UPS[2], [101])
    room.listeners[UPS[2]](message(102).model_copy(update={"id": "forged"}))
    assert room.wrong() == {"altered": 1}


def test_a_forgotten_message_at_another_place_than_any_of_ours_is_altered() -> None:
    room = Room([101, 102])
    room.all_hear([101, 102])
    room.clock.now = FORGET_AFTER_S + 1
    room.memory.forget_old()
    assert room.memory.sent == {}
    room.listeners[UPS[0]](message(102).model_copy(update={"seq": 103}))
    assert room.wrong() == {"missing": 2, "altered": 1}


def test_a_forgotten_message_that_comes_again_otherwise_than_it_was_sent_is_doubled_and_altered() -> None:
    room = Room([101, 102])
    for up in UPS:
        room.hear(up, [101, 102])
    room.clock.now = FORGET_AFTER_S + 1
    room.memory.forget_old()
    room.listeners[UPS[0]](message(102, text="ola"))
    assert room.wrong() == {"doubled": 1, "altered": 1}


def test_latencies_count_from_the_planned_moment() -> None:
    room = Room([])
    room.messages[101] = message(101)
    room.clock.now = 3.0
    room.memory.add_sent("m101", SentMessage("leic", UPS[0], "olá", planned_at=1.0, sent_at=1))
    room.memory.add_ack("m101", 101)
    room.hear(UPS[0], [101])
    for latencies in (room.memory.late, room.memory.ack, room.memory.deliver, room.memory.own):
        assert 2000 <= latencies.percentile_ms(50) <= 2000 * 1.016


def test_what_was_not_planned_to_be_measured_is_timed_apart() -> None:
    room = Room([])
    room.memory.add_sent(
        "m101", SentMessage("leic", UPS[0], "olá", planned_at=0.0, sent_at=1, measured=False)
    )
    room.messages[101] = message(101)
    room.memory.add_ack("m101", 101)
    room.all_hear([101])
    memory = room.memory
    assert (memory.deliver.total, memory.ack.total, memory.own.total) == (0, 0, 0)
    assert (memory.other_deliver.total, memory.other_ack.total) == (3, 1)


def test_what_was_acked_late_is_still_known_when_its_members_get_it() -> None:
    room = Room([])
    room.say("m101")
    room.messages[101] = message(101)
    room.clock.now = FORGET_AFTER_S + 60
    room.memory.add_ack("m101", 101)
    room.memory.forget_old()
    room.clock.now += 1
    room.hear(UPS[1], [101])
    assert room.memory.deliver.percentile_ms(100) >= 1000 * FORGET_AFTER_S


def test_what_a_member_gets_long_after_its_ack_is_timed_too() -> None:
    room = Room([101])
    room.hear(UPS[0], [101])
    room.clock.now = FORGET_AFTER_S + 1
    room.memory.forget_old()
    room.clock.now += 60
    room.hear(UPS[1], [101])
    room.hear(UPS[2], [101])
    assert room.memory.deliver.total == 3
    assert room.memory.deliver.percentile_ms(100) >= 1000 * room.clock.now


def test_what_all_members_have_is_forgotten_and_still_judged() -> None:
    room = Room([101, 102])
    room.memory.subscriptions[UPS[2]]["leic"].after = None
    room.all_hear([101, 102], of=UPS[:2])
    room.memory.forget_old()
    assert len(room.memory.sent) == 2, "it may be altered, or acked as another, for a while"
    room.clock.now = FORGET_AFTER_S + 1
    room.memory.forget_old()
    assert room.memory.sent == {}
    assert room.wrong() == {"missing": 2}
    room.hear(UPS[1], [102])
    room.hear(UPS[2], [101, 102])
    assert room.wrong() == {"doubled": 1}


def test_a_message_of_a_room_that_nobody_was_let_into_is_forgotten_too() -> None:
    clock = Clock()
    memory = Memory(dict.fromkeys(UPS, ("leic",)), clock)
    memory.add_sent("m101", SentMessage("leic", UPS[0], "olá", planned_at=0.0, sent_at=1))
    memory.add_ack("m101", 101)
    assert set(memory.sent) == {"m101"}
    clock.now = FORGET_AFTER_S + 1
    memory.forget_old()
    assert memory.sent == {}


def test_what_is_not_acked_or_not_for_long_or_not_at_all_members_is_not_forgotten() -> None:
    room = Room([])
    room.messages = {seq: message(seq) for seq in range(101, 106)}
    for name in ("m102", "m101", "m103", "refused", "m105", "m104"):
        room.say(name)
    room.memory.add_refusal("refused")
    for seq in (101, 104, 105):
        room.memory.add_ack(f"m{seq}", seq)
    for up in UPS:
        room.hear(up, [101, 102, 103, 104, 105] if up != UPS[2] else [101, 102, 103, 104])
    room.clock.now = FORGET_AFTER_S + 1
    room.memory.add_ack("m103", 103)
    room.memory.forget_old()
    assert set(room.memory.sent) == {"m102", "m103", "m105"}
    assert room.wrong() == {"missing": 1, "not_acked": 1}
