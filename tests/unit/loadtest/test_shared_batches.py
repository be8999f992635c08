"""Shared batches say what their messages say one by one, and planted faults are found in them, too."""

from dataclasses import asdict

from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.memory import Memory, SentMessage
from loadtest.seen_frames import Batch
from loadtest.shared_batches import SAME_MOMENT_S, SharedBatches
from schemas.client_events import ChatMessage
from tests.unit.clock import Clock
from tests.unit.loadtest.one_room import HEAD, UPS, message

Cuts = list[list[int]]

PLANNED_AT_S = 10.0


class Listening:
    """Three members of one room; what they hear is taken by batches or by messages."""

    def __init__(self, seqs: list[int], *, by_batches: bool) -> None:
        self.clock = Clock()
        self.clock.now = PLANNED_AT_S
        self.memory = Memory(dict.fromkeys(UPS, ("leic",)), self.clock)
        self._shared = SharedBatches(self.memory, self.clock)
        self._by_batches = by_batches
        self._batches: dict[tuple[int, ...], Batch] = {}
        for up in UPS:
            self.memory.came.add(up)
            self.memory.add_joined(up, "leic", HEAD)
        for seq in seqs:
            n = seq - HEAD - 1
            self.memory.add_sent(
                f"m{seq}",
                SentMessage("leic", UPS[n % 3], "olá", PLANNED_AT_S, sent_at=1, measured=n % 12 < 8),
            )
            self.memory.add_ack(f"m{seq}", seq)
        self._take_batch = {up: self._shared.listener(up) for up in UPS}
        self._take_message = {up: self.memory.listener(up) for up in UPS}

    def hear(self, up: str, seqs: list[int]) -> None:
        self.clock.now += SAME_MOMENT_S / 2
        messages = [said(seq) for seq in seqs]
        if self._by_batches:
            self._take_batch[up](self._batches.setdefault(tuple(seqs), Batch(b"", messages)))
        else:
            for one in messages:
                self._take_message[up](one)

    def found(self) -> dict[str, int]:
        self._shared.count_all()
        assert not self._shared._moments
        memory = self.memory
        return {
            **asdict(memory.verdict()),
            "received": memory.received,
            "counted": memory.deliver.total,
            "others": memory.other_deliver.total,
            "own": memory.own.total,
            "outstanding": memory.outstanding(),
        }


def said(seq: int) -> ChatMessage:
    return message(seq).model_copy(update={"up": UPS[(seq - HEAD - 1) % 3]})


EVERYTHING = frozenset(range(HEAD + 1, HEAD + 13))


def listen(cuts: dict[str, Cuts], *, by_batches: bool, said_here: frozenset[int] = EVERYTHING) -> Listening:
    listening = Listening(sorted(said_here), by_batches=by_batches)
    for turn in range(max(map(len, cuts.values()), default=0)):
        for up, mine in cuts.items():
            if turn < len(mine):
                listening.hear(up, mine[turn])
    return listening


some_cuts: st.SearchStrategy[Cuts] = st.lists(
    st.lists(st.integers(HEAD + 1, HEAD + 12), min_size=1, max_size=6), max_size=6
)


some_seqs = st.frozensets(st.sampled_from(sorted(EVERYTHING)))


OWN_OTHERS_AND_UNMEASURED: dict[str, Cuts] = {UPS[0]: [[HEAD + 1, HEAD + 2, HEAD + 10]]}


@given(st.fixed_dictionaries(dict.fromkeys(UPS, some_cuts)), some_seqs)
@example(OWN_OTHERS_AND_UNMEASURED, frozenset())
def test_reads_say_what_their_messages_say_whatever_comes(
    cuts: dict[str, Cuts], others_said: frozenset[int]
) -> None:
    here = EVERYTHING - others_said
    by_batches, by_messages = (
        listen(cuts, by_batches=each, said_here=here).found() for each in (True, False)
    )
    assert by_batches == by_messages


def test_who_reads_much_later_makes_nobody_else_late() -> None:
    listening = listen({UPS[0]: [[HEAD + 1]]}, by_batches=True)
    listening.clock.now = PLANNED_AT_S + 2.0
    for up in UPS[1:]:
        listening.hear(up, [HEAD + 1])
    assert listening.found()["counted"] == 3
    delivered, own = listening.memory.deliver, listening.memory.own
    assert delivered.percentile_ms(0) < 1
    assert delivered.percentile_ms(100) >= 2_000
    assert 0.4 < own.percentile_ms(100) < 1, "its sender was the first"


def test_a_read_is_counted_as_late_as_the_last_who_read_it_with_others() -> None:
    listening = listen({up: [[HEAD + 1, HEAD + 2]] for up in UPS}, by_batches=True)
    assert listening.found()["counted"] == 6
    latest_ms = listening.memory.deliver.percentile_ms(0)
    assert latest_ms >= 1.0, "the first of the three read it half a millisecond after it was said"


def test_a_read_without_one_of_its_messages_is_missing_it() -> None:
    whole = [[HEAD + n for n in range(1, 13)]]
    without = [[seq for seq in whole[0] if seq != HEAD + 5]]
    found = listen({UPS[0]: whole, UPS[1]: without, UPS[2]: whole}, by_batches=True).found()
    assert found["missing"] == 1


def test_a_batch_of_a_room_of_others_is_leaked() -> None:
    listening = Listening([], by_batches=True)
    listening._take_batch[UPS[0]](Batch(b"", [message(101, room="lei"), message(102, room="lei")]))
    assert listening.found()["leaked"] == 2
