"""Changes of groups that the log refuses, takes in part, late, or behind those of other gateways."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.log_writer import WrittenRecord
from api_gateway.public_routes import PublicApi
from schemas import topics
from schemas.api import MAX_NEW_MEMBERS, CreateGroup, GroupAccepted, MemberAccepted, OneMember
from schemas.ids import membership_key
from schemas.log_records import Encoded, GroupCreated, MemberJoined, tombstone
from schemas.refusals import NOT_ALLOWED, UNAVAILABLE, Refused
from tests.unit.api_gateway.parts import A, B, C, GroupParts, students, take, until
from tests.unit.refusing import refuses


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

    async def write_a_part(topic: str, *records: Encoded) -> list[WrittenRecord]:
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


async def test_whoever_else_is_served_has_turns_while_a_request_s_many_members_are_written() -> None:
    parts = GroupParts()
    write, users = parts.writer.write, [f"up2020{number:05}" for number in range(MAX_NEW_MEMBERS)]

    async def write_and_wait(topic: str, *records: Encoded) -> list[WrittenRecord]:
        written = await write(topic, *records)
        await asyncio.sleep(0)
        return written

    parts.writer.write = write_and_wait  # type: ignore[method-assign]
    creating = asyncio.create_task(parts.groups.create(CreateGroup(name="n", id="x", users=users)))
    written, most = 0, 0
    while not creating.done():
        await asyncio.sleep(0)
        most, written = max(most, len(parts.writer.records) - written), len(parts.writer.records)
    assert (await creating).users == users
    assert most <= MAX_NEW_MEMBERS // 10


def slowed(parts: GroupParts) -> asyncio.Event:
    """Let what is written be durable only once the event is set."""
    durable, write = asyncio.Event(), parts.writer.write

    async def write_slowly(topic: str, *records: Encoded) -> list[WrittenRecord]:
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
    with refuses(NOT_ALLOWED):
        await thief
    for mine in (first, retry):
        created = await mine
        assert created.users == [A]

    parts.writer.refuses = Refused(UNAVAILABLE)
    with pytest.raises(Refused):
        await parts.groups.create_for(A, CreateGroup(name="n", id="y"))
    parts.writer.refuses = None
    assert await take(parts, "create", B, "y", B)


@pytest.mark.parametrize("goes_on", ["first", "retry"])
async def test_an_id_stays_its_student_s_while_one_of_their_tries_goes_on(goes_on: str) -> None:
    """A client tries again after some seconds, and its first try may fail only after that."""
    parts = GroupParts()
    tries: list[asyncio.Event] = []

    async def write_slowly(topic: str, *records: Encoded) -> list[WrittenRecord]:
        tries.append(asyncio.Event())
        await tries[-1].wait()
        raise Refused(UNAVAILABLE)

    parts.writer.write = write_slowly  # type: ignore[method-assign]
    both = [asyncio.create_task(parts.groups.create_for(A, CreateGroup(name="n", id="x"))) for _ in range(2)]
    await until(lambda: len(tries) == 2)
    ended, other = (1, 0) if goes_on == "first" else (0, 1)
    tries[ended].set()
    with refuses(UNAVAILABLE):
        await both[ended]
    thief = asyncio.create_task(parts.groups.create_for(B, CreateGroup(name="mine", id="x")))
    await until(thief.done)
    with refuses(NOT_ALLOWED):
        await thief
    tries[other].set()
    with refuses(UNAVAILABLE):
        await both[other]


async def test_whoever_leaves_while_the_creation_waits_for_other_records_stays_out() -> None:
    parts = GroupParts()
    all_durable = asyncio.Event()
    write = parts.writer.write

    async def write_and_read_back(topic: str, *records: Encoded) -> list[WrittenRecord]:
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


@pytest.mark.parametrize(("step", "newest"), [("add", False), ("remove", True)])
async def test_a_change_that_another_gateway_has_overtaken_is_not_folded_again(
    step: str, newest: bool
) -> None:
    parts = GroupParts()
    await parts.groups.create_for(A, CreateGroup(name="n", id="x", users=[] if step == "add" else [B]))
    write, overtaken = parts.writer.write, list[str]()

    async def write_and_be_overtaken(topic: str, *records: Encoded) -> list[WrittenRecord]:
        written = await write(topic, *records)
        parts.memberships.set_member("x", B, newest)
        parts.positions[topic] = {0: written[0].offset + 2}
        overtaken.append(topic)
        return written

    parts.writer.write = write_and_be_overtaken  # type: ignore[method-assign]
    await take(parts, step, A, "x", B)
    assert overtaken == [topics.MEMBERSHIPS]
    assert parts.memberships.is_member("x", B) is newest


async def test_a_name_that_another_gateway_has_given_meanwhile_stays() -> None:
    parts = GroupParts()
    write = parts.writer.write

    async def write_and_be_overtaken(topic: str, *records: Encoded) -> list[WrittenRecord]:
        written = await write(topic, *records)
        if topic == topics.GROUPS:
            parts.directory.put(GroupCreated(group="x", name="newest", created_by=A))
            parts.positions[topic] = {0: written[0].offset + 2}
        return written

    parts.writer.write = write_and_be_overtaken  # type: ignore[method-assign]
    await parts.groups.create_for(A, CreateGroup(name="older", id="x"))
    assert parts.directory.name_of("x") == "newest"


async def test_who_asks_a_gateway_that_has_yet_to_read_of_a_group_does_not_take_it_over() -> None:
    """A member learns of a group from an edge, at once: this gateway may be the last one that reads of it."""
    parts = GroupParts()
    parts.on_read_to_end = lambda: parts.directory.put(GroupCreated(group="x", name="n", created_by=A))
    assert not await take(parts, "create", B, "x", B)
    assert parts.writer.records == []
    assert await take(parts, "create", A, "x", B)


async def test_a_creator_who_has_left_does_not_come_back_through_a_gateway_that_lags() -> None:
    parts = GroupParts()
    left = tombstone(key=membership_key("x", A), source="another gateway", kind=MemberJoined)
    await parts.writer.write(topics.MEMBERSHIPS, left)
    parts.on_read_to_end = lambda: parts.directory.put(GroupCreated(group="x", name="n", created_by=A))
    assert not await take(parts, "create", A, "x", A)
    assert len(parts.writer.records) == 1


@pytest.mark.parametrize("fault", [KafkaTimeoutError(), OSError(), TimeoutError()])
async def test_who_creates_a_group_by_an_id_tries_again_where_the_log_does_not_say_its_end(
    fault: Exception,
) -> None:
    parts = GroupParts()

    def fail() -> None:
        raise fault

    parts.on_read_to_end = fail
    with refuses(UNAVAILABLE):
        await parts.groups.create_for(A, CreateGroup(name="n", id="x"))
    assert parts.writer.records == []


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
