"""Who leads, of those in the group."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.keep_leader import KeepLeader, leader_among
from schemas import topics

MEMBERS = st.dictionaries(st.text(min_size=1), st.sampled_from([b"", b"1", b"2", b"10"]), min_size=1)


@given(MEMBERS)
def test_who_leads_in_the_highest_epoch_goes_on_leading_and_if_nobody_does_the_first_begins(
    said: dict[str, bytes],
) -> None:
    assert leader_among(said) == min(said, key=lambda member: (-int(said[member] or b"0"), member))


def test_what_is_not_an_epoch_leads_nothing() -> None:
    assert leader_among({"a": b"\xff\xfe", "b": b"3"}) == "b"


def test_one_member_gets_the_partition_and_the_others_nothing() -> None:
    group = KeepLeader()
    group.leads_in_epoch = 4
    members = {"a": KeepLeader().metadata([topics.EDGE_STATUS]), "b": group.metadata([topics.EDGE_STATUS])}
    given_out = {member: each.assignment for member, each in group.assign(None, members).items()}
    assert given_out == {"a": [], "b": [(topics.EDGE_STATUS, [0])]}
