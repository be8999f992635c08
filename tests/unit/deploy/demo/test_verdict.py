"""The checker passes what is right and flags each damage: one that cannot fail proves nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields

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
    heard: list[ChatMessage] = field(default_factory=list)
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
            case.heard.append(message.model_copy())
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


def lose_delivery(case: Case) -> None:
    del case.streams["leic"]["up000000001"][3]


def double_delivery(case: Case) -> None:
    case.streams["leic"]["up000000001"].insert(4, case.streams["leic"]["up000000001"][3])


def double_delivery_late(case: Case) -> None:
    case.streams["leic"]["up000000001"].append(case.streams["leic"]["up000000001"][0])


def swap_deliveries(case: Case) -> None:
    stream = case.streams["leic"]["up000000002"]
    stream[2], stream[3] = stream[3], stream[2]


def receive_nothing(case: Case) -> None:
    del case.streams["meic"]


def leak(case: Case) -> None:
    case.streams["meic"]["up000000001"] = [0]


def invent_delivery(case: Case) -> None:
    case.streams["meic"]["up000000002"].append(10_000)


def lose_ack(case: Case) -> None:
    del case.acks["leic-2"]


def lose_from_history(case: Case) -> None:
    del case.history["leic"][2]


def lose_everywhere(case: Case) -> None:
    """Acked, and then neither stored nor delivered: an ack that was a lie."""
    del case.history["meic"][5]
    case.streams["meic"]["up000000002"].pop()


def double_in_history(case: Case) -> None:
    case.history["leic"].append(case.history["leic"][-1].model_copy(update={"seq": 900}))


def swap_in_history(case: Case) -> None:
    stored = case.history["leic"]
    stored[1], stored[2] = stored[2], stored[1]


def change_text_in_history(case: Case) -> None:
    case.history["leic"][1] = case.history["leic"][1].model_copy(update={"message": "outro"})


def change_sender_in_history(case: Case) -> None:
    case.history["leic"][1] = case.history["leic"][1].model_copy(update={"up": "up999999999"})


def ack_another_seq(case: Case) -> None:
    case.acks["leic-1"] = 77


def change_text_on_its_way(case: Case) -> None:
    case.heard[1].message = "outro"


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lose_delivery, "missing"),
        (double_delivery, "doubled"),
        (double_delivery_late, "doubled"),
        (swap_deliveries, "out_of_order"),
        (receive_nothing, "missing"),
        (leak, "leaked"),
        (invent_delivery, "unknown"),
        (lose_ack, "not_acked"),
        (lose_from_history, "not_stored"),
        (lose_everywhere, "missing"),
        (lose_everywhere, "not_stored"),
        (double_in_history, "doubled"),
        (swap_in_history, "out_of_order"),
        (change_text_in_history, "altered"),
        (change_sender_in_history, "altered"),
        (ack_another_seq, "altered"),
        (change_text_on_its_way, "altered"),
    ],
)
def test_each_damage_is_flagged(damage: Callable[[Case], None], fault: str) -> None:
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
    case.heard[1].timestamp += 1
    verdict = judge(members=ROOMS, exact_times=exact_times, **vars(case))
    assert verdict.ok == (not exact_times)
    case.heard[1].message = "outro"
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
