"""How many members a student lets in, and into how many groups others can be let."""

import re

import pytest
from hypothesis import given

from api_gateway.members import MAX_NAMED
from runtime import metrics
from schemas.api import MAX_NEW_MEMBERS, CreateGroup
from schemas.refusals import NOT_ALLOWED, RATE_LIMITED, Refused
from tests.counting import counting
from tests.unit.api_gateway.parts import A, B, C, GroupParts, steps, take
from tests.unit.refusing import refuses


async def test_a_student_adds_only_so_many_members_and_nobody_else_waits_for_that() -> None:
    """Every edge and gateway keeps each membership for good: one student must not fill them."""
    parts = GroupParts(members_per_s=1e-9)
    hits = counting(metrics.LIMIT_HITS.labels(limit="new members"))
    many = [f"up{n:09}" for n in range(MAX_NEW_MEMBERS)]
    shown = await parts.groups.create_for(A, CreateGroup(name="n", users=many, id="x"))
    assert len(shown.users) == MAX_NEW_MEMBERS + 1
    written = len(parts.writer.records)
    for adding in (parts.groups.create_for(A, CreateGroup(name="n", id="y")), parts.groups.add(A, "x", B)):
        with refuses(RATE_LIMITED):
            await adding
    assert hits() == 2
    assert len(parts.writer.records) == written

    await parts.groups.remove(A, "x", many[0])
    await parts.groups.create_for(B, CreateGroup(name="n", users=[C], id="z"))
    await parts.groups.create(CreateGroup(name="n", users=many, id="ours"))


async def test_removing_who_is_no_member_is_bounded_as_adding_is_and_removing_members_is_not() -> None:
    """The store keeps the end also of a membership that never was, and there are many numbers."""
    parts = GroupParts(members_per_s=1e-9)
    many = [f"up{n:09}" for n in range(MAX_NEW_MEMBERS)]
    await parts.groups.create_for(A, CreateGroup(name="n", users=many, id="x"))
    written = len(parts.writer.records)
    with refuses(RATE_LIMITED):
        await parts.groups.remove(A, "x", B)
    assert len(parts.writer.records) == written
    await parts.groups.remove(A, "x", many[0])
    await parts.groups.remove(A, "x", A)
    assert len(parts.writer.records) == written + 2


async def test_students_let_nobody_into_more_groups_than_are_allowed_and_the_solution_does() -> None:
    """Whoever is let in is not asked: others must not be able to fill their chat."""
    parts = GroupParts(max_groups=2)
    hits = counting(metrics.LIMIT_HITS.labels(limit="groups of a user"))
    for group in ("x", "y"):
        await parts.groups.create_for(A, CreateGroup(name="n", users=[B], id=group))
    await parts.groups.create_for(C, CreateGroup(name="n", id="z"))
    written = len(parts.writer.records)
    for adding, named in (
        (parts.groups.add(C, "z", B), [B]),
        (parts.groups.create_for(C, CreateGroup(name="n", users=[A, B], id="w")), [A, B]),
        (parts.groups.create_for(A, CreateGroup(name="n", users=[C], id="w")), [A]),
    ):
        with refuses(NOT_ALLOWED) as refused:
            await adding
        assert str(refused.value).endswith(f" already (2): {', '.join(named)}.")
    assert hits() == 3
    assert len(parts.writer.records) == written

    await parts.groups.add(A, "x", B)
    await parts.groups.create_for(A, CreateGroup(name="n", users=[B], id="x"))
    await parts.groups.create(CreateGroup(name="n", users=[A], id="ours"))
    assert parts.memberships.count_of(A) == 3
    await parts.groups.remove(B, "x", B)
    await parts.groups.add(C, "z", B)


@pytest.mark.parametrize("count", [MAX_NAMED, MAX_NAMED + 1, MAX_NEW_MEMBERS])
async def test_of_many_who_are_in_too_many_groups_a_few_are_named(count: int) -> None:
    parts = GroupParts(max_groups=1)
    many = [f"up{n:09}" for n in range(count)]
    await parts.groups.create(CreateGroup(name="n", users=many))
    others = f" and {count - MAX_NAMED} others" if count > MAX_NAMED else ""
    named = re.escape(f": {', '.join(many[:MAX_NAMED])}{others}.")
    with pytest.raises(Refused, match=named) as refused:
        await parts.groups.create_for(A, CreateGroup(name="n", users=many))
    assert len(str(refused.value)) < 500


@given(steps)
async def test_whatever_students_do_nobody_is_in_more_groups_than_are_allowed(
    taken: list[tuple[str, str, str, str]],
) -> None:
    parts = GroupParts(max_groups=1)
    for step, caller, group, up in taken:
        await take(parts, step, caller, group, up)
        assert all(parts.memberships.count_of(one) <= 1 for one in (A, B, C))
    for one in (A, B, C):
        if parts.memberships.count_of(one) == 0:
            await parts.groups.create_for(one, CreateGroup(name="n"))
            assert parts.memberships.count_of(one) == 1, "what was refused or left takes no room"
