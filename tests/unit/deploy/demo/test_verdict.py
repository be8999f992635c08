"""The checker passes what is right and flags each damage: one that cannot fail proves nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.verdict import Verdict, descents, judge
from loadtest.schedule import Line
from schemas.client_events import ChatMessage

ROOMS = {"leic": ("up000000001", "up000000002", "up000000003"), "meic": ("up000000002",)}


@dataclass
class Case:
    """A replay in which all went well, to be damaged."""

    lines: dict[str, Line] = field(default_factory=dict)
    acks: dict[str, int] = field(default_factory=dict)
    streams: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    received: list[ChatMessage] = field(default_factory=list)
    history: dict[str, list[ChatMessage]] = field(default_factory=dict)

    def judged(self) -> Verdict:
        return judge(members=ROOMS, **vars(self))


def well(count: int = 6, gap: int = 3) -> Case:
    case = Case()
    for room, ups in ROOMS.items():
        case.history[room] = []
        case.streams[room] = {up: [] for up in ups}
        for n in range(count):
            line = Line(float(n), ups[n % len(ups)], room, f"texto {n}")
            said, seq = f"{room}-{n}", n * gap
            message = ChatMessage(
                id=said, seq=seq, room=room, up=line.up, message=line.text, timestamp=1, sent_at=1
            )
            case.lines[message.id] = line
            case.acks[message.id] = message.seq
            case.history[room].append(message)
            case.received.append(message.model_copy())
            for stream in case.streams[room].values():
                stream.append(message.seq)
    return case


@given(st.integers(0, 20), st.integers(1, 5))
def test_all_well_is_ok(count: int, gap: int) -> None:
    verdict = well(count, gap).judged()
    assert verdict.ok, verdict
    assert verdict.last_line.startswith("OK")
    assert verdict.sent == verdict.acked == verdict.stored == 2 * count
    assert verdict.delivered == verdict.expected == 4 * count


def change_in_history(case: Case, place: int, **changed: object) -> None:
    case.history["leic"][place] = case.history["leic"][place].model_copy(update=changed)


def swap(two: list[Any], first: int) -> None:
    two[first], two[first + 1] = two[first + 1], two[first]


def lose_everywhere(case: Case) -> None:
    """Acked, and then neither stored nor delivered: an ack that was a lie."""
    del case.history["meic"][5]
    case.streams["meic"]["up000000002"].pop()


FIRST, SECOND, THIRD = ROOMS["leic"]
DAMAGES: dict[str, tuple[Callable[[Case], object], str]] = {
    "a delivery is lost": (lambda case: case.streams["leic"][FIRST].pop(3), "missing"),
    "one comes twice": (lambda case: case.streams["leic"][FIRST].insert(4, 9), "doubled"),
    "one comes again late": (lambda case: case.streams["leic"][FIRST].append(0), "doubled"),
    "two are swapped": (lambda case: swap(case.streams["leic"][SECOND], 2), "out_of_order"),
    "nothing is received": (lambda case: case.streams.pop("meic"), "missing"),
    "a stranger hears it": (lambda case: case.streams["meic"].update({FIRST: [0]}), "leaked"),
    "one is invented": (lambda case: case.streams["meic"][SECOND].append(10_000), "unknown"),
    "an ack is lost": (lambda case: case.acks.pop("leic-2"), "not_acked"),
    "one is not in history": (lambda case: case.history["leic"].pop(2), "not_stored"),
    "one is nowhere, nor received": (lose_everywhere, "missing"),
    "one is nowhere, nor stored": (lose_everywhere, "not_stored"),
    "history has one twice": (
        lambda case: case.history["leic"].append(case.history["leic"][-1].model_copy(update={"seq": 900})),
        "doubled",
    ),
    "history has two swapped": (lambda case: swap(case.history["leic"], 1), "out_of_order"),
    "history has another text": (lambda case: change_in_history(case, 1, message="outro"), "altered"),
    "history has another sender": (lambda case: change_in_history(case, 1, up="up999999999"), "altered"),
    "an ack says another seq": (lambda case: case.acks.update({"leic-1": 77}), "altered"),
    "another text is received": (lambda case: setattr(case.received[1], "message", "outro"), "altered"),
}


@pytest.mark.parametrize(("damage", "fault"), DAMAGES.values(), ids=DAMAGES)
def test_each_damage_is_flagged(damage: Callable[[Case], object], fault: str) -> None:
    case = well()
    damage(case)
    verdict = case.judged()
    assert not verdict.ok
    assert fault in verdict.faults
    assert verdict.last_line.startswith("FAILED: ")
    assert fault.replace("_", " ") in verdict.last_line


@given(st.data())
def test_losing_any_deliveries_counts_exactly_those(data: st.DataObject) -> None:
    case = well()
    lost = 0
    for room in case.streams.values():
        for stream in room.values():
            gone = data.draw(st.sets(st.sampled_from(range(len(stream)))))
            lost += len(gone)
            stream[:] = [seq for n, seq in enumerate(stream) if n not in gone]
    verdict = case.judged()
    assert verdict.missing == lost
    assert verdict.expected - verdict.delivered == lost
    assert verdict.ok == (lost == 0)


@given(st.permutations(range(6)))
def test_only_the_order_of_history_is_in_order(order: list[int]) -> None:
    case = well()
    stream = case.streams["leic"]["up000000001"]
    stream[:] = [stream[n] for n in order]
    assert case.judged().ok == (order == sorted(order))


@pytest.mark.parametrize("exact_times", [True, False])
def test_times_may_differ_only_where_the_broker_keeps_none(exact_times: bool) -> None:
    case = well()
    case.received[1].timestamp += 1
    verdict = judge(members=ROOMS, exact_times=exact_times, **vars(case))
    assert verdict.ok == (not exact_times)
    case.received[1].message = "outro"
    assert not judge(members=ROOMS, exact_times=exact_times, **vars(case)).ok


def test_what_others_wrote_in_the_group_before_is_not_ours_to_judge() -> None:
    case = well()
    case.history["leic"].insert(0, case.history["leic"][0].model_copy(update={"id": "older", "seq": -1}))
    assert case.judged().ok


def test_nothing_else_than_zero_faults_is_ok() -> None:
    for one in fields(Verdict):
        if one.metadata:
            assert not Verdict(**{one.name: 1}).ok


@given(st.lists(st.integers()))
def test_descents_are_zero_only_for_what_is_sorted(seqs: list[int]) -> None:
    assert (descents(seqs) == 0) == (seqs == sorted(seqs))
