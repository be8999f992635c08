"""Who may change a group, and what the log then holds."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.group_directory import GroupDirectory
from api_gateway.groups import RESERVED_IDS
from api_gateway.log_writer import Place
from api_gateway.public_routes import PublicApi
from runtime import metrics
from runtime.memberships import Memberships
from schemas import topics
from schemas.api import MAX_NEW_MEMBERS, CreateGroup, GroupAccepted, MemberAccepted, OneMember
from schemas.log_records import Encoded, GroupCreated, encode
from schemas.refusals import (
    INVALID_PAYLOAD,
    NOT_A_MEMBER,
    NOT_ALLOWED,
    NOT_FOUND,
    RATE_LIMITED,
    UNAVAILABLE,
    Refused,
)
from tests.records import consumed
from tests.unit.api_gateway.parts import INTERNAL, PUBLIC, GroupParts, until

A, B, C = "up200000001", "up200000002", "up200000003"
students = st.sampled_from([A, B, C])
steps = st.lists(
    st.tuples(st.sampled_from(["create", "add", "remove"]), students, st.sampled_from(["x", "y"]), students),
    max_size=25,
)


class Model:
    """What the rules say, in the fewest words."""

    def __init__(self) -> None:
        self.members: dict[str, set[str]] = {}
        self.creator: dict[str, str] = {}

    def allows(self, step: str, caller: str, group: str, up: str) -> bool:
        members = self.members.get(group, set())
        if step == "create":
            return group not in self.creator or (
                self.creator[group] == caller and (not members or caller in members)
            )
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


async def take(parts: GroupParts, step: str, caller: str, group: str, up: str) -> bool:
    try:
        if step == "create":
            await parts.groups.create_for(caller, CreateGroup(name="n", users=[up], id=group))
        elif step == "add":
            await parts.groups.add(caller, group, up)
        else:
            await parts.groups.remove(caller, group, up)
    except Refused as refused:
        if refused.refusal not in (NOT_A_MEMBER, NOT_ALLOWED):
            raise
        return False
    return True


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
    assert parts.groups.one("x").model_dump() == {"id": "x", "name": "new", "users": [A, B, C]}
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
    assert parts.groups.one("x").model_dump() == {"id": "x", "name": "mine", "users": [A]}


def slowed(parts: GroupParts) -> asyncio.Event:
    """Let what is written be durable only once the event is set."""
    durable, write = asyncio.Event(), parts.writer.write

    async def write_slowly(topic: str, *records: Encoded) -> list[Place]:
        await durable.wait()
        return await write(topic, *records)

    parts.writer.write = write_slowly  # type: ignore[method-assign]
    return durable


@pytest.mark.parametrize("student_is_first", [True, False])
async def test_of_a_student_and_the_solution_who_create_the_same_id_at_once_the_first_has_it(
    student_is_first: bool,
) -> None:
    parts = GroupParts()
    durable = slowed(parts)
    both = [
        parts.groups.create_for(A, CreateGroup(name="n", id="x")),
        parts.groups.create(CreateGroup(name="n", id="x", users=[B])),
    ]
    tasks = []
    for one in both if student_is_first else reversed(both):
        tasks.append(asyncio.create_task(one))
        await asyncio.sleep(0)
    durable.set()
    created, refused = await asyncio.gather(*tasks, return_exceptions=True)
    assert not isinstance(created, BaseException)
    assert isinstance(refused, Refused)
    assert refused.refusal is NOT_ALLOWED
    assert parts.members.members_of("x") == ([A] if student_is_first else [B])


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
                assert parts.groups.one_for(up, group).users == sorted(users)
            else:
                with pytest.raises(Refused) as refused:
                    parts.groups.one_for(up, group)
                assert refused.value.refusal is NOT_A_MEMBER


async def test_a_write_that_the_log_refuses_changes_nothing() -> None:
    parts = GroupParts()
    await parts.groups.create_for(A, CreateGroup(name="n", id="x"))
    parts.writer.refuses = Refused(UNAVAILABLE)
    for change in (
        parts.groups.add(A, "x", B),
        parts.groups.remove(A, "x", A),
        parts.groups.create_for(B, CreateGroup(name="n", id="y")),
    ):
        with pytest.raises(Refused):
            await change
    assert parts.members.members_of("x") == [A]
    assert parts.directory.find("y") is None


@given(st.sets(students, min_size=1))
async def test_a_creation_of_which_the_log_took_a_part_is_made_whole_by_a_retry(away: set[str]) -> None:
    """Members are in several partitions, and any of these may lack its leader."""
    parts = GroupParts()
    write = parts.writer.write

    async def write_a_part(topic: str, *records: Encoded) -> list[Place]:
        taken = [one for one in records if not any(up.encode() in one.key for up in away)]
        written = await write(topic, *taken)
        if written:
            parts.read_back(topic, written, taken)
        if len(taken) < len(records):
            raise Refused(UNAVAILABLE)
        return written

    parts.writer.write = write_a_part  # type: ignore[method-assign]
    new = CreateGroup(name="n", id="x", users=[B, C])
    with pytest.raises(Refused):
        await parts.groups.create_for(A, new)
    parts.writer.write = write  # type: ignore[method-assign]
    created = await parts.groups.create_for(A, new)
    assert created.users == parts.members.members_of("x") == [A, B, C]


async def test_whoever_leaves_while_the_creation_waits_for_other_records_stays_out() -> None:
    parts = GroupParts()
    all_durable = asyncio.Event()
    write = parts.writer.write

    async def write_and_read_back(topic: str, *records: Encoded) -> list[Place]:
        written = await write(topic, *records)
        parts.read_back(topic, written, records)
        if len(records) > 1:
            await all_durable.wait()
        return written

    parts.writer.write = write_and_read_back  # type: ignore[method-assign]
    creating = asyncio.create_task(parts.groups.create_for(A, CreateGroup(name="n", id="x", users=[B, C])))
    await until(lambda: parts.memberships.is_member("x", B))
    await parts.groups.remove(B, "x", B)
    all_durable.set()
    created = await creating
    assert created.users == parts.members.members_of("x") == [A, C]


async def test_nobody_creates_a_group_by_an_id_that_somebody_else_is_creating() -> None:
    parts = GroupParts()
    durable = slowed(parts)
    first, retry = (
        asyncio.create_task(parts.groups.create_for(A, CreateGroup(name="n", id="x"))) for _ in range(2)
    )
    await asyncio.sleep(0)
    thief = asyncio.create_task(parts.groups.create_for(B, CreateGroup(name="mine", id="x")))
    await asyncio.sleep(0)
    durable.set()
    with pytest.raises(Refused) as refused:
        await thief
    assert refused.value.refusal is NOT_ALLOWED
    for mine in (first, retry):
        created = await mine
        assert created.users == [A]

    parts.writer.refuses = Refused(UNAVAILABLE)
    with pytest.raises(Refused):
        await parts.groups.create_for(A, CreateGroup(name="n", id="y"))
    parts.writer.refuses = None
    assert await take(parts, "create", B, "y", B)


@pytest.mark.parametrize(("step", "newest"), [("add", False), ("remove", True)])
async def test_a_change_that_another_gateway_has_overtaken_is_not_folded_again(
    step: str, newest: bool
) -> None:
    parts = GroupParts()
    await parts.groups.create_for(A, CreateGroup(name="n", id="x", users=[] if step == "add" else [B]))
    write = parts.writer.write

    async def write_and_be_overtaken(topic: str, *records: Encoded) -> list[Place]:
        written = await write(topic, *records)
        parts.memberships.set_member("x", B, newest)
        parts.positions[topic] = {0: written[0].offset + 2}
        return written

    parts.writer.write = write_and_be_overtaken  # type: ignore[method-assign]
    await take(parts, step, A, "x", B)
    assert parts.memberships.is_member("x", B) is newest


async def test_a_name_that_another_gateway_has_given_meanwhile_stays() -> None:
    parts = GroupParts()
    write = parts.writer.write

    async def write_and_be_overtaken(topic: str, *records: Encoded) -> list[Place]:
        written = await write(topic, *records)
        if topic == topics.GROUPS:
            parts.directory.put(GroupCreated(group="x", name="newest", created_by=A))
            parts.positions[topic] = {0: written[0].offset + 2}
        return written

    parts.writer.write = write_and_be_overtaken  # type: ignore[method-assign]
    await parts.groups.create_for(A, CreateGroup(name="older", id="x"))
    assert parts.directory.name_of("x") == "newest"


async def test_a_change_whose_offset_is_not_known_is_left_to_the_reader() -> None:
    parts = GroupParts()
    await parts.groups.create_for(A, CreateGroup(name="n", id="x"))
    parts.writer.says_offsets = False
    await parts.groups.add(A, "x", B)
    await parts.groups.create_for(A, CreateGroup(name="other", id="x"))
    assert parts.members.members_of("x") == [A]
    assert parts.directory.name_of("x") == "n"


async def test_what_stands_in_the_log_is_not_refused_where_the_gateway_falls_behind_meanwhile() -> None:
    parts = GroupParts()

    def fall_behind() -> None:
        parts.fault = "behind the store for 10 s"

    parts.progress.on_wait = fall_behind
    steps = (
        lambda: parts.groups.create_for(A, CreateGroup(name="n", users=[B])),
        lambda: parts.groups.create(CreateGroup(name="n", users=[A], id="x")),
        lambda: parts.groups.add(A, "x", B),
        lambda: parts.groups.remove(A, "x", A),
    )
    for step in steps:
        parts.fault = None
        accepted = await step()
        assert accepted.stored
        assert not isinstance(accepted, GroupAccepted) or A in accepted.users


async def test_before_the_log_was_read_no_group_can_be_created_or_shown() -> None:
    parts = GroupParts()
    parts.fault = "reading"
    for change in (
        lambda: parts.groups.create_for(A, CreateGroup(name="n")),
        lambda: parts.groups.create(CreateGroup(name="n")),
        lambda: parts.groups.add(A, "x", B),
    ):
        with pytest.raises(Refused) as refused:
            await change()
        assert refused.value.refusal is UNAVAILABLE
    assert parts.writer.records == []
    for show in (
        lambda: parts.groups.of_user(A),
        lambda: parts.groups.one("x"),
        lambda: parts.groups.all(skip=0, limit=1),
    ):
        with pytest.raises(Refused) as refused:
            show()
        assert refused.value.refusal is UNAVAILABLE


def test_each_word_that_stands_in_the_same_place_of_a_path_as_an_id_is_reserved() -> None:
    paths = [route.path.strip("/").split("/") for route in (*PUBLIC, *INTERNAL)]
    steps = {(*path[: n + 1],) for path in paths for n in range(len(path))}
    places = {step[:-1] for step in steps if step[-1].startswith("{")}
    words = {step[-1] for step in steps if step[:-1] in places}
    assert {word for word in words if not word.startswith("{")} == RESERVED_IDS


@pytest.mark.parametrize("group", sorted(RESERVED_IDS))
async def test_no_group_can_stand_in_the_way_of_a_route(group: str) -> None:
    parts = GroupParts()
    with pytest.raises(Refused) as refused:
        await parts.groups.create(CreateGroup(name="n", id=group))
    assert refused.value.refusal is INVALID_PAYLOAD
    assert parts.writer.records == []


async def test_the_status_says_whether_the_store_has_it() -> None:
    parts = GroupParts()
    nothing: Any = None
    api = PublicApi(nothing, nothing, parts.groups, parts.members, nothing, nothing)
    for stored, created, changed in ((True, 201, 200), (False, 202, 202)):
        parts.progress.stored = stored
        made = await api.create_group(A, CreateGroup(name="n"))
        shown = GroupAccepted.model_validate_json(made.body)
        assert (shown.stored, made.status) == (stored, created)
        joined = await api.add_member(A, OneMember(group=shown.id, up=B))
        assert (MemberAccepted.model_validate_json(joined.body).stored, joined.status) == (stored, changed)


async def test_a_group_that_everybody_has_left_is_still_its_creator_s() -> None:
    parts = GroupParts()
    await parts.groups.create_for(A, CreateGroup(name="n", id="x"))
    await parts.groups.remove(A, "x", A)
    assert parts.groups.one("x").model_dump() == {"id": "x", "name": "n", "users": []}
    assert not await take(parts, "create", B, "x", B)
    assert await take(parts, "create", A, "x", B)


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
    assert parts.groups.one("x").name == "x"
    with pytest.raises(Refused) as refused:
        parts.groups.one("y")
    assert refused.value.refusal is NOT_FOUND


async def test_members_that_the_log_s_follower_has_taken_are_not_validated_again() -> None:
    """Of a large group that was half of what a read of it cost."""
    parts = GroupParts()
    parts.memberships.set_member("x", "whoever", member=True)
    assert parts.groups.one("x").users == ["whoever"]
    created = await parts.groups.create(CreateGroup(name="n", id="x"))
    assert created.users == ["whoever"]


def test_the_directory_keeps_the_newest_record_and_a_tombstone_ends_a_group() -> None:
    parts = GroupParts()
    old, new = (
        encode(GroupCreated(group="x", name=name, created_by=None), key="x", source="test")
        for name in ("old", "new")
    )
    parts.directory.take(0, [consumed("t", old), consumed("t", new)])
    assert parts.directory.name_of("x") == "new"
    parts.directory.take(0, [consumed("t", new._replace(value=None))])
    assert (parts.directory.find("x"), parts.directory.ids()) == (None, [])


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
    parts = GroupParts()
    good = encode(GroupCreated(group="x", name="n", created_by=None), key="x", source="test")
    no_text = good._replace(key=b"\xff", value=None)
    for bad in (good._replace(value=b"{"), good._replace(headers=[]), no_text):
        parts.directory.take(0, [consumed("t", bad), consumed("t", good)])
    assert parts.directory.ids() == ["x"]


async def test_a_student_adds_only_so_many_members_and_nobody_else_waits_for_that() -> None:
    """Every edge and gateway keeps each membership for good: one student must not fill them."""
    parts = GroupParts(members_per_s=1e-9)
    hits = metrics.LIMIT_HITS.labels(limit="new members")._value
    before = hits.get()
    many = [f"up{n:09}" for n in range(MAX_NEW_MEMBERS)]
    shown = await parts.groups.create_for(A, CreateGroup(name="n", users=many, id="x"))
    assert len(shown.users) == MAX_NEW_MEMBERS + 1
    written = len(parts.writer.records)
    for adding in (
        parts.groups.create_for(A, CreateGroup(name="n", id="y")),
        parts.groups.add(A, "x", B),
    ):
        with pytest.raises(Refused) as refused:
            await adding
        assert refused.value.refusal is RATE_LIMITED
    assert hits.get() == before + 2
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
    with pytest.raises(Refused) as refused:
        await parts.groups.remove(A, "x", B)
    assert refused.value.refusal is RATE_LIMITED
    assert len(parts.writer.records) == written
    await parts.groups.remove(A, "x", many[0])
    await parts.groups.remove(A, "x", A)
    assert len(parts.writer.records) == written + 2


async def test_students_let_nobody_into_more_groups_than_are_allowed_and_the_solution_does() -> None:
    """Whoever is let in is not asked: others must not be able to fill their chat."""
    parts = GroupParts(max_groups=2)
    hits = metrics.LIMIT_HITS.labels(limit="groups of a user")._value
    for group in ("x", "y"):
        await parts.groups.create_for(A, CreateGroup(name="n", users=[B], id=group))
    await parts.groups.create_for(C, CreateGroup(name="n", id="z"))
    before, written = hits.get(), len(parts.writer.records)
    for adding, named in (
        (parts.groups.add(C, "z", B), [B]),
        (parts.groups.create_for(C, CreateGroup(name="n", users=[A, B], id="w")), [A, B]),
        (parts.groups.create_for(A, CreateGroup(name="n", users=[C], id="w")), [A]),
    ):
        with pytest.raises(Refused) as refused:
            await adding
        assert refused.value.refusal is NOT_ALLOWED
        assert str(refused.value).endswith(f" already (2): {', '.join(named)}.")
    assert hits.get() == before + 3
    assert len(parts.writer.records) == written

    await parts.groups.add(A, "x", B)
    await parts.groups.create_for(A, CreateGroup(name="n", users=[B], id="x"))
    await parts.groups.create(CreateGroup(name="n", users=[A], id="ours"))
    assert parts.memberships.count_of(A) == 3
    await parts.groups.remove(B, "x", B)
    await parts.groups.add(C, "z", B)


async def test_of_many_who_are_in_too_many_groups_a_few_are_named() -> None:
    parts = GroupParts(max_groups=1)
    many = [f"up{n:09}" for n in range(MAX_NEW_MEMBERS)]
    await parts.groups.create(CreateGroup(name="n", users=many))
    with pytest.raises(Refused, match=f"{many[0]}, .* and {MAX_NEW_MEMBERS - 10} others") as refused:
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
