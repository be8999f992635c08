"""A connection is read while nobody has a reason to stop, in whatever order the reasons come and go."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from edge_server.reading import Reading
from tests.unit.edge_server.transports import Transport

STEPS = ("pause_reading", "resume_reading", "rest", "wake")


class Strict(Transport):
    """A transport that must not be told twice, nor after its end."""

    def pause_reading(self) -> None:
        assert not self.paused
        assert not self.is_closing()
        super().pause_reading()

    def resume_reading(self) -> None:
        assert self.paused
        assert not self.is_closing()
        super().resume_reading()


@given(st.lists(st.sampled_from(STEPS), max_size=30), st.lists(st.sampled_from(STEPS), max_size=5))
def test_it_is_read_exactly_while_it_is_neither_full_nor_told_to_wait(
    steps: list[str], after_its_end: list[str]
) -> None:
    transport = Strict()
    reading = Reading(cast(Any, transport))
    full = rests = False
    for step in steps:
        getattr(reading, step)()
        full = {"pause_reading": True, "resume_reading": False}.get(step, full)
        rests = {"rest": True, "wake": False}.get(step, rests)
        assert transport.paused is (full or rests)
    transport.abort()
    for step in after_its_end:
        getattr(reading, step)()
