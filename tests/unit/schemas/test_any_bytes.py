"""Any bytes are a record, or a `BadRecord` that says why: no reader of a topic ever fails otherwise."""

import gzip
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import log_records
from schemas.assignments import MAX_TABLE_BYTES, TableAssigned
from schemas.log_records import BadRecord, MessageSent, Record
from tests.unit.schemas.record_kinds import KINDS

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=10,
)
values = (
    st.none() | st.binary(max_size=300) | json_like.map(lambda value: repr(value).encode(errors="replace"))
)
headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_type", "ce_id", "other"]),
        st.none() | st.sampled_from([kind.ce_type.encode() for kind in KINDS]) | st.binary(max_size=20),
    ),
    max_size=4,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(value=values, header=headers, right_type=st.booleans())
@settings(max_examples=40)
def test_a_reader_fails_only_by_saying_what_is_bad(
    kind: type[Record], value: bytes | None, header: list[tuple[str, bytes | None]], right_type: bool
) -> None:
    said = [("ce_type", kind.ce_type.encode()), *header] if right_type else header
    with suppress(BadRecord):
        assert isinstance(kind.read(said, value), kind)


@given(value=values)
def test_a_table_cut_or_bent_anywhere_is_bad_and_nothing_else(value: bytes | None) -> None:
    packed = gzip.compress(value or b"", mtime=0)
    for content in (packed, packed[:2], packed[:-3], packed[:11] + b"\x00" + packed[12:]):
        with pytest.raises(BadRecord):
            TableAssigned.read([("ce_type", TableAssigned.ce_type.encode())], content)


def test_a_table_that_would_unpack_beyond_its_bound_is_not_unpacked() -> None:
    bomb = gzip.compress(b" " * (MAX_TABLE_BYTES + 1), mtime=0)
    assert len(bomb) < 100_000
    with pytest.raises(BadRecord, match="longer than"):
        TableAssigned.read([("ce_type", TableAssigned.ce_type.encode())], bomb)


def test_all_kinds_of_records_are_tried() -> None:
    assert MessageSent in KINDS
    assert TableAssigned in KINDS
    assert len(KINDS) >= len([name for name in vars(log_records) if name.endswith(("Sent", "Reported"))])
