"""Who is shown as online: a law for whatever edges say, however that is cut into batches and repeated."""

from itertools import pairwise

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from persister.batch_writer import BatchWriter
from persister.outage import Outage
from schemas import documents, topics
from schemas.log_records import PresenceChanged
from tests.records import consumed
from tests.unit.persister import records as make
from tests.unit.persister.model_store import ModelStore
from tests.unit.persister.records import batch_of

UP = "up201900001"
Said = tuple[bool, str | None]
"""Online or not, and which edge says so: ``A1`` is one process of edge ``A``, ``A`` one that is not known."""

said = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["A", "A1", "A2", "B", "B3", None])), min_size=1, max_size=12
)


def log_of(steps: list[Said]) -> list[ConsumerRecord]:
    records = (
        make.presence(online=online, up=UP, edge=by and by[0], process=(by or "")[1:] or None)
        for online, by in steps
    )
    return [consumed(topics.USERS, record, offset=n) for n, record in enumerate(records)]


def expected(steps: list[Said]) -> bool:
    """Say what the rules say, in the fewest words."""
    is_shown, by = False, None
    for online, said_by in steps:
        if online or said_by is None:
            is_shown, by = online, said_by
        elif by is None or (by[0] == said_by[0] and (by == said_by or 1 in (len(by), len(said_by)))):
            is_shown = False
    return is_shown


def shown(store: ModelStore) -> bool:
    return bool(store.documents(documents.USERS).get(UP, {}).get("online"))


async def write(store: ModelStore, log: list[ConsumerRecord]) -> None:
    writer = BatchWriter(store, None, Outage(0.0))  # type: ignore[arg-type]
    await writer.write(batch_of(log), lambda: True)


@pytest.mark.parametrize(
    ("steps", "online"),
    [
        ([(True, "A"), (False, "A")], False),
        ([(True, "A"), (True, "B"), (False, "A")], True),
        ([(True, "A"), (True, "B"), (False, "A"), (False, "B")], False),
        ([(True, "B"), (True, "A"), (False, "A"), (False, "B")], False),
        ([(True, "A"), (False, "B"), (False, "A")], False),
        ([(True, "A"), (False, None)], False),
        ([(True, None), (False, "A")], False),
        ([(True, "A1"), (False, "A1")], False),
        ([(True, "A1"), (True, "A2"), (False, "A1")], True),
        ([(True, "A1"), (True, "A2"), (False, "A1"), (False, "A2")], False),
        ([(True, "A1"), (True, "A2"), (False, "A")], False),
        ([(True, "A"), (False, "A1")], False),
        ([(True, "A1"), (True, "B3"), (False, "A1"), (False, "B3")], False),
    ],
)
async def test_a_departure_counts_only_where_its_process_of_an_edge_was_the_last_to_say_online(
    steps: list[Said], online: bool
) -> None:
    log = log_of(steps)
    for batches in ([[record] for record in log], *([log[:n], log[n:]] for n in range(len(log)))):
        store = ModelStore()
        for batch in filter(None, batches):
            await write(store, batch)
        assert shown(store) is online


@given(said, st.data())
async def test_the_same_is_shown_however_the_log_is_cut_and_repeated(
    steps: list[Said], data: st.DataObject
) -> None:
    store, log = ModelStore(), log_of(steps)
    ends = sorted(data.draw(st.sets(st.integers(0, len(log)))) | {0, len(log)})
    parts = [log[start:end] for start, end in pairwise(ends)]
    for n, part in enumerate(parts):
        await write(store, part)
        for late in data.draw(st.lists(st.sampled_from(parts[: n + 1]), max_size=2)):
            await write(store, late)
    assert shown(store) is expected(steps)


async def test_a_departure_does_not_bring_back_who_was_erased_while_they_were_connected() -> None:
    store, log = ModelStore(), log_of([(True, "A1"), (False, "A1")])
    await write(store, log[:1])
    del store.documents(documents.USERS)[UP]
    await write(store, log[1:])
    assert store.documents(documents.USERS) == {}


def test_a_record_of_an_edge_that_does_not_name_itself_can_be_read() -> None:
    found = PresenceChanged.read_value(b'{"up": "up201900001", "online": false}')
    assert (found.online, found.edge, found.process) == (False, None, None)
