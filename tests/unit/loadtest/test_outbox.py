"""Whatever acks, refusals, silences and lost connections do, a message is done once and never forgotten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from loadtest.outbox import TRY_AGAIN, Outbox, Outgoing
from schemas import refusals

WINDOW = 3
RETRY_AFTER_S = 1.0
ACK_TIMEOUT_S = 10.0


def message(number: int) -> Outgoing:
    return Outgoing("leic", "olá", f"m{number}", number)


def new_outbox() -> Outbox:
    return Outbox(window=WINDOW, retry_after_s=RETRY_AFTER_S, ack_timeout_s=ACK_TIMEOUT_S)


class AnyHistory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.outbox = new_outbox()
        self.now = 0.0
        self.posted = 0
        self.open: list[str] = []
        self.on_the_wire: list[str] = []

    @rule()
    def post(self) -> None:
        self.posted += 1
        self.outbox.post(message(self.posted))
        self.open.append(f"m{self.posted}")

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 11.0]))
    def write(self, seconds: float) -> None:
        self.now += seconds
        due = [out.id for out in self.outbox.take_due(self.now)]
        assert set(due) <= set(self.open)
        assert due == sorted(due, key=lambda one: int(one[1:]))
        self.on_the_wire += due

    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        if self.on_the_wire:
            known = data.draw(st.sampled_from(self.on_the_wire))
            done = self.outbox.acked(known)
            assert (done is not None) == (known in self.open)
            self.open = [one for one in self.open if one != known]

    @rule(data=st.data(), code=st.sampled_from(sorted(refusals.TABLE)))
    def refuse(self, data: st.DataObject, code: str) -> None:
        if self.on_the_wire:
            known = data.draw(st.sampled_from(self.on_the_wire))
            final = self.outbox.refused(known, code, self.now)
            if code in TRY_AGAIN:
                assert final is None
            else:
                assert (final is not None) == (known in self.open)
                self.open = [one for one in self.open if one != known]

    @rule()
    def lose_the_connection(self) -> None:
        self.outbox.disconnected()
        self.on_the_wire.clear()

    @invariant()
    def nothing_is_forgotten(self) -> None:
        assert len(self.outbox) == len(self.open)

    def teardown(self) -> None:
        """From any state, an edge that acks everything gets everything, in bounded time."""
        for _ in range(2 * len(self.open) + 2):
            due = self.outbox.next_due()
            if due is None:
                break
            self.now = max(self.now, due)
            for out in self.outbox.take_due(self.now):
                assert self.outbox.acked(out.id) is out
        assert len(self.outbox) == 0


TestAnyHistory = AnyHistory.TestCase


@given(st.integers(0, 20))
def test_no_more_are_under_way_than_the_window(count: int) -> None:
    outbox = new_outbox()
    for number in range(count):
        outbox.post(message(number))
    assert [out.id for out in outbox.take_due(0.0)] == [f"m{n}" for n in range(min(count, WINDOW))]
    assert outbox.take_due(0.0) == []


def test_after_unavailable_the_same_message_is_written_again_but_not_at_once() -> None:
    outbox = new_outbox()
    outbox.post(message(1))
    assert outbox.take_due(0.0) == [message(1)]
    assert outbox.refused("m1", "unavailable", now=5.0) is None
    assert outbox.take_due(5.0) == []
    assert outbox.next_due() == 5.0 + RETRY_AFTER_S
    assert outbox.take_due(5.0 + RETRY_AFTER_S) == [message(1)]
    assert outbox.retries == 1


def test_silence_is_a_reason_to_write_again() -> None:
    outbox = new_outbox()
    outbox.post(message(1))
    outbox.take_due(0.0)
    assert outbox.next_due() == ACK_TIMEOUT_S
    assert outbox.take_due(ACK_TIMEOUT_S) == [message(1)]


def test_nobody_is_woken_before_anything_can_be_written() -> None:
    outbox = new_outbox()
    for number in range(WINDOW + 1):
        outbox.post(message(number))
        outbox.take_due(float(number))
    assert outbox.next_due() == ACK_TIMEOUT_S


def test_a_new_connection_waits_neither_for_what_the_one_before_was_refused_nor_for_its_acks() -> None:
    outbox = new_outbox()
    for number in (1, 2):
        outbox.post(message(number))
    outbox.take_due(0.0)
    outbox.refused("m1", "overloaded", now=0.0)
    outbox.disconnected()
    assert outbox.take_due(0.0) == [message(1), message(2)]


def test_an_id_is_not_posted_twice() -> None:
    outbox = new_outbox()
    outbox.post(message(1))
    with pytest.raises(ValueError, match="m1"):
        outbox.post(message(1))


def test_pauses_double_while_everything_is_refused_and_begin_anew_after_an_ack() -> None:
    box = new_outbox()
    box.post(message(1))
    now, pauses = 0.0, []
    for _ in range(8):
        assert box.take_due(now) == [message(1)]
        box.refused("m1", refusals.OVERLOADED.code, now)
        due = box.next_due()
        assert due is not None
        pauses.append((due - now) / RETRY_AFTER_S)
        now = due
    assert pauses == [1, 2, 4, 8, 16, 16, 16, 16]
    box.take_due(now)
    box.acked("m1")
    box.post(message(2))
    assert box.take_due(now) == [message(2)]
    box.refused("m2", refusals.OVERLOADED.code, now)
    assert box.next_due() == now + RETRY_AFTER_S


def test_refusals_of_what_was_sent_together_make_one_pause() -> None:
    box = new_outbox()
    for number in (1, 2):
        box.post(message(number))
    box.take_due(0.0)
    for number in (1, 2):
        box.refused(f"m{number}", refusals.OVERLOADED.code, 0.0)
    assert box.next_due() == RETRY_AFTER_S
