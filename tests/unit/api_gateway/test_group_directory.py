"""The names of groups, as the log's newest records say them, and their ids in order."""

from hypothesis import given
from hypothesis import strategies as st

from api_gateway.group_directory import GroupDirectory
from schemas.log_records import GroupCreated, encode
from tests.records import consumed


def test_the_directory_keeps_the_newest_record_and_a_tombstone_ends_a_group() -> None:
    directory = GroupDirectory()
    old, new = (
        encode(GroupCreated(group="x", name=name, created_by=None), key="x", source="test")
        for name in ("old", "new")
    )
    directory.take(0, [consumed("t", old), consumed("t", new)])
    assert directory.name_of("x") == "new"
    directory.take(0, [consumed("t", new._replace(value=None))])
    assert (directory.find("x"), directory.ids()) == (None, [])


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["made", "ended", "listed"]))))
def test_ids_are_in_order_whatever_comes_and_goes_between_two_looks(steps: list[tuple[str, str]]) -> None:
    directory, there = GroupDirectory(), set[str]()
    for group, what in steps:
        record = encode(GroupCreated(group=group, name="n", created_by=None), key=group, source="test")
        if what == "made":
            directory.take(0, [consumed("t", record)])
            there.add(group)
        elif what == "ended":
            directory.take(0, [consumed("t", record._replace(value=None))])
            there.discard(group)
        else:
            assert directory.ids() == sorted(there)
    assert directory.ids() == sorted(there)


def test_all_groups_are_sorted_once_and_not_for_each_page() -> None:
    directory = GroupDirectory()
    for group in ("b", "a"):
        directory.put(GroupCreated(group=group, name="n", created_by=None))
    listed = directory.ids()
    directory.put(GroupCreated(group="aa", name="n", created_by=None))
    assert directory.ids() is listed, "a new one finds its place in it"


def test_a_record_that_cannot_be_read_is_left_out() -> None:
    directory = GroupDirectory()
    good = encode(GroupCreated(group="x", name="n", created_by=None), key="x", source="test")
    no_text = good._replace(key=b"\xff", value=None)
    for bad in (good._replace(value=b"{"), good._replace(headers=[]), no_text):
        directory.take(0, [consumed("t", bad), consumed("t", good)])
    assert directory.ids() == ["x"]
