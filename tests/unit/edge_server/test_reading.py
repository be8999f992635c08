"""A connection is read while nobody has a reason to stop, in whatever order the reasons come and go."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from edge_server.reading import FULL, RETRY_LATER, Reading
from tests.unit.edge_server.transports import Transport

steps = st.tuples(st.sampled_from(["pause", "resume"]), st.sampled_from([FULL, RETRY_LATER]))


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


@given(st.lists(steps, max_size=30), st.lists(steps, max_size=5))
def test_it_is_read_exactly_while_it_is_neither_full_nor_told_to_wait(
    steps: list[tuple[str, int]], after_its_end: list[tuple[str, int]]
) -> None:
    transport = Strict()
    reading = Reading(cast(Any, transport))
    reasons = set[int]()
    for step, reason in steps:
        getattr(reading, step)(reason)
        (reasons.add if step == "pause" else reasons.discard)(reason)
        assert transport.paused is bool(reasons)
    transport.abort()
    for step, reason in after_its_end:
        getattr(reading, step)(reason)
