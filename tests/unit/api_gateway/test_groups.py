"""Who may change a group, and who is shown what of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.groups import RESERVED_IDS
from runtime.memberships import Memberships
from schemas.api import CreateGroup
from schemas.refusals import INVALID_PAYLOAD, NOT_A_MEMBER, NOT_ALLOWED, NOT_FOUND, UNAVAILABLE, Refused
from tests.unit.api_gateway.parts import INTERNAL, PUBLIC, A, B, C, GroupParts, steps, students, take
from tests.unit.refusing import refuses


class Model:
    """What the rules say, in the fewest words."""

    def __init__(self) -> None:
        self.members: dict[str, set[str]] = {}
        self.creator: dict[str, str] = {}

    def allows(self, step: str, caller: str, group: str, up: str) -> bool:
        members = self.members.get(group, set())
        if step == "create":
            return group not in self.creator or (self.creator[group] == caller and caller in members)
        return caller in members and (step == "add" or up == caller or self.creator[group] == caller)

    def apply(self, step: str, caller: str, group: str, up: str) -> None:
        members = self.members.setdefault(group, set())
        if step == "create":
            self.creator[group] = caller
            members |= {caller, up}
        elif step == "add":
            members.add(up)
        else:
            members.discard(up)


@given(steps)
async def test_only_what_the_rules_allow_changes_a_group_and_the_log_says_the_same(
    taken: list[tuple[str, str, str, str]],
) -> None:
    parts, model = GroupParts(), Model()
    for step, caller, group, up in taken:
        allowed = model.allows(step, caller, group, up)
        assert await take(parts, step, caller, group, up) is allowed
        if allowed:
            model.apply(step, caller, group, up)
        for one in ("x", "y"):
            assert parts.members.members_of(one) == sorted(model.members.get(one, set()))
    folded = Memberships()
    for key, member in parts.writer.memberships().items():
        group, up = key.split("/")
        folded.set_member(group, up, member)
    assert all(folded.members_of(one) == model.members.get(one, set()) for one in ("x", "y"))


async def test_a_group_of_the_solution_that_it_renames_keeps_its_members_and_has_no_creator() -> None:
    parts = GroupParts()
    await parts.groups.create(CreateGroup(name="old", users=[A, B], id="x"))
    await parts.groups.create(CreateGroup(name="new", users=[C], id="x"))
    assert parts.groups.get("x").model_dump() == {"id": "x", "name": "new", "users": [A, B, C]}
    for up in (A, B, C):
        assert not await take(parts, "create", up, "x", up)
        assert not await take(parts, "remove", up, "x", A if up != A else B)


async def test_the_solution_lets_nobody_into_a_group_whose_id_a_student_has_chosen_first() -> None:
    """It would be that student's: they would read it, rename it and remove its members."""
    parts = GroupParts()
    await parts.groups.create_for(A, CreateGroup(name="mine", id="x"))
    await parts.groups.create_for(A, CreateGroup(name="left", id="y"))
    await parts.groups.remove(A, "y", A)
    written = len(parts.writer.records)
    for group in ("x", "y"):
        with pytest.raises(Refused, match="A student has made a group with this id") as refused:
            await parts.groups.create(CreateGroup(name="official", users=[B, C], id=group))
        assert refused.value.refusal is NOT_ALLOWED
    assert len(parts.writer.records) == written
    assert parts.groups.get("x").model_dump() == {"id": "x", "name": "mine", "users": [A]}


@given(st.dictionaries(st.sampled_from("uvwxyz"), st.sets(students)), st.integers(1, 4))
async def test_the_pages_of_groups_are_all_of_them_once_and_students_see_only_their_own(
    wanted: dict[str, set[str]], size: int
) -> None:
    parts = GroupParts()
    for group, users in wanted.items():
        await parts.groups.create(CreateGroup(name=group.upper(), users=sorted(users), id=group))
    pages = [parts.groups.all(skip=skip, limit=size) for skip in range(0, len(wanted) + 1, size)]
    assert [(one.id, one.name) for page in pages for one in page] == [(g, g.upper()) for g in sorted(wanted)]
    for up in (A, B, C):
        own = {(group, group.upper()) for group, users in wanted.items() if up in users}
        assert {(one.id, one.name) for one in parts.groups.of_user(up)} == own
        for group, users in wanted.items():
            if up in users:
                assert parts.groups.get_for_member(up, group).users == sorted(users)
            else:
                with refuses(NOT_A_MEMBER):
                    parts.groups.get_for_member(up, group)


async def test_before_the_log_was_read_no_group_can_be_created_or_shown() -> None:
    parts = GroupParts()
    parts.fault = "reading"
    for change in (
        lambda: parts.groups.create_for(A, CreateGroup(name="n")),
        lambda: parts.groups.create(CreateGroup(name="n")),
        lambda: parts.groups.add(A, "x", B),
    ):
        with refuses(UNAVAILABLE):
            await change()
    assert parts.writer.records == []
    for show in (
        lambda: parts.groups.of_user(A),
        lambda: parts.groups.get("x"),
        lambda: parts.groups.all(skip=0, limit=1),
    ):
        with refuses(UNAVAILABLE):
            show()


def test_each_word_that_stands_in_the_same_place_of_a_path_as_an_id_is_reserved() -> None:
    paths = [route.path.strip("/").split("/") for route in (*PUBLIC, *INTERNAL)]
    steps = {(*path[: n + 1],) for path in paths for n in range(len(path))}
    places = {step[:-1] for step in steps if step[-1].startswith("{")}
    words = {step[-1] for step in steps if step[:-1] in places}
    assert {word for word in words if not word.startswith("{")} == RESERVED_IDS


@pytest.mark.parametrize("group", sorted(RESERVED_IDS))
async def test_no_group_can_stand_in_the_way_of_a_route(group: str) -> None:
    parts = GroupParts()
    with refuses(INVALID_PAYLOAD):
        await parts.groups.create(CreateGroup(name="n", id=group))
    assert parts.writer.records == []


async def test_nobody_creates_a_group_again_that_everybody_has_left() -> None:
    """Its creator would read what the others said after the creator had left."""
    parts = GroupParts()
    await parts.groups.create_for(A, CreateGroup(name="n", users=[B], id="x"))
    await parts.groups.remove(A, "x", A)
    await parts.groups.remove(B, "x", B)
    assert parts.groups.get("x").model_dump() == {"id": "x", "name": "n", "users": []}
    for up in (A, B, C):
        assert not await take(parts, "create", up, "x", up)


async def test_a_retry_on_a_gateway_that_has_not_read_the_members_yet_is_no_return() -> None:
    parts = GroupParts()
    await parts.groups.create_for(A, CreateGroup(name="n", id="x"))
    parts.memberships.set_member("x", A, member=False)
    assert await take(parts, "create", A, "x", A)


async def test_from_a_group_whose_creator_is_not_known_students_remove_only_themselves() -> None:
    parts = GroupParts()
    for up in (A, B):
        parts.memberships.set_member("x", up, member=True)
    assert not await take(parts, "create", A, "x", A), "or its creator would be known"
    assert not await take(parts, "remove", A, "x", B)
    assert await take(parts, "remove", A, "x", A)


async def test_a_group_without_a_name_is_shown_by_its_id_and_one_without_anything_is_not_found() -> None:
    parts = GroupParts()
    parts.memberships.set_member("x", A, member=True)
    assert parts.groups.get("x").name == "x"
    with refuses(NOT_FOUND):
        parts.groups.get("y")


async def test_members_that_the_log_s_follower_has_taken_are_not_validated_again() -> None:
    """Of a large group that was half of what a read of it cost."""
    parts = GroupParts()
    parts.memberships.set_member("x", "whoever", member=True)
    assert parts.groups.get("x").users == ["whoever"]
    created = await parts.groups.create(CreateGroup(name="n", id="x"))
    assert created.users == ["whoever"]
