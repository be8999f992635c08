"""Who leads, of those in the group."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.keep_leader import KeepLeader, leader_among
from schemas import topics

MEMBERS = st.dictionaries(
    st.text(min_size=1), st.just(b"") | st.integers(0, 50).map(lambda n: b"%d" % n), min_size=1
)


@given(MEMBERS)
def test_who_leads_in_the_highest_epoch_goes_on_leading(said: dict[str, bytes]) -> None:
    leader = leader_among(said)
    assert all(int(said[leader] or b"-1") >= int(epoch or b"-1") for epoch in said.values())


@given(MEMBERS, st.text(min_size=1))
def test_a_dispatcher_that_joins_takes_nothing_over(said: dict[str, bytes], newcomer: str) -> None:
    if any(said.values()) and newcomer not in said:
        assert leader_among({**said, newcomer: b""}) == leader_among(said)


def test_what_is_not_an_epoch_leads_nothing() -> None:
    assert leader_among({"a": b"\xff\xfe", "b": b"3"}) == "b"


def test_one_member_gets_the_partition_and_the_others_nothing() -> None:
    group = KeepLeader()
    group.leads_in_epoch = 4
    members = {"a": KeepLeader().metadata([topics.EDGE_STATUS]), "b": group.metadata([topics.EDGE_STATUS])}
    given_out = {member: each.assignment for member, each in group.assign(None, members).items()}
    assert given_out == {"a": [], "b": [(topics.EDGE_STATUS, [0])]}
