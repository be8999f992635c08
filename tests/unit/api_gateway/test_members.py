"""What members may do, and who may become one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.members import MembersOnly, NewMembers
from runtime.memberships import Memberships
from schemas.refusals import NOT_A_MEMBER, RATE_LIMITED, UNAVAILABLE, Refused
from tests.unit.refusing import refuses


def test_only_members_are_let_through_and_nobody_before_the_log_was_read() -> None:
    memberships = Memberships()
    fault: list[str | None] = ["reading"]
    members = MembersOnly(memberships, lambda: fault[0], 1_000)
    memberships.set_member("maths", "up201906045", member=True)
    with refuses(UNAVAILABLE):
        members.require("maths", "up201906045")
    fault[0] = None
    members.require("maths", "up201906045")
    with refuses(NOT_A_MEMBER):
        members.require("maths", "up201906046")


def test_the_groups_of_a_user_are_shown_in_order() -> None:
    memberships, groups = Memberships(), [f"group-{n}" for n in range(9)]
    for group in reversed(groups):
        memberships.set_member(group, "up201906045", member=True)
    assert MembersOnly(memberships, lambda: None, 1_000).groups_of("up201906045") == groups


ups = st.sampled_from([f"up20190000{n}" for n in range(6)])
ASK = st.none()
"""Instead of a user: the group's members are asked for."""


@given(st.lists(st.tuples(st.sampled_from("xy"), ASK | ups, st.booleans()), max_size=60))
def test_the_members_of_a_group_are_shown_in_order_whatever_changes_between_two_looks(
    steps: list[tuple[str, str | None, bool]],
) -> None:
    memberships = Memberships()
    members = MembersOnly(memberships, lambda: None, 1_000)
    for group, up, joins in steps:
        if up is not None:
            memberships.set_member(group, up, joins)
        else:
            shown = members.members_of(group)
            assert shown == sorted(memberships.members_of(group))
            shown.clear()
    assert all(members._in_order.values()), "a group that all have left is forgotten"


def test_members_are_sorted_once_however_often_somebody_looks() -> None:
    """A student who asks for ten thousand of them a hundred times a second would slow everybody's gateway."""

    class Counted(Memberships):
        looked = 0

        def members_of(self, group: str) -> frozenset[str]:
            self.looked += 1
            return super().members_of(group)

    memberships = Counted()
    members = MembersOnly(memberships, lambda: None, 1_000)
    for n in range(9):
        memberships.set_member("maths", f"up20190000{n}", member=True)
        assert len(members.members_of("maths")) == n + 1
    assert memberships.looked == 1


def test_who_has_anything_left_adds_many_members_and_waits_for_as_many_before_the_next() -> None:
    now = 0.0
    new_members = NewMembers(per_s=2.0, burst=10, clock=lambda: now)
    new_members.spend("up1", 9)
    new_members.spend("up1", 15)
    now = 7.0
    with refuses(RATE_LIMITED) as refused:
        new_members.spend("up1", 1)
    assert refused.value.retry_after_s == 1
    new_members.spend("up2", 1)
    now = 7.5
    new_members.spend("up1", 1)


def test_who_has_added_many_members_is_told_how_long_that_takes_to_make_up_for() -> None:
    now = 0.0
    new_members = NewMembers(per_s=20, burst=10_000, clock=lambda: now)
    for _ in range(3):
        new_members.spend("up1", 4_999)
    with pytest.raises(Refused) as refused:
        new_members.spend("up1", 1)
    assert refused.value.retry_after_s == 250
    now = 250.0
    new_members.spend("up1", 1)
