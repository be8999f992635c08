"""Users are shown by what the store knows of them, and by which edges live; and written, through the log."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.users import Users
from runtime.assignments import Assignments
from schemas import topics
from schemas.api import ListPage, MemberPage, UserList, UserState
from schemas.assignments import Shard, TableAssigned
from schemas.documents import ONLINE_EDGE, ONLINE_PROCESS, ONLINE_PROCESS_SEQ, ONLINE_SEQ
from schemas.log_records import PresenceChanged, ProfileChanged
from schemas.up_number import CIRCLE
from tests.unit.api_gateway.parts import FakeProgress, FakeWriter

A, B, C, D, E, F = (f"up20200000{n}" for n in range(1, 7))
BY_NEW = {ONLINE_PROCESS: "new", ONLINE_PROCESS_SEQ: 7, ONLINE_SEQ: 7}
STORED: list[dict[str, Any]] = [
    {"_id": A, "online": True, ONLINE_EDGE: "edge-1"},
    {"_id": B, "online": True, ONLINE_EDGE: "edge-2"},
    {"_id": C, "online": True, ONLINE_EDGE: None, "name": "C", "username": "c"},
    {"_id": D, "online": False, ONLINE_EDGE: "edge-1", **BY_NEW},
    {"_id": E, "online": True, ONLINE_EDGE: "edge-1", **BY_NEW},
    {"_id": F, "online": True, ONLINE_EDGE: "edge-1", **BY_NEW, ONLINE_SEQ: 8},
]


class Stored:
    """A store that finds whoever is asked for, in no order if none is asked for."""

    async def find(
        self,
        _: str,
        query: dict[str, Any],
        *,
        sort: Sequence[tuple[str, int]] = (),
        skip: int = 0,
        limit: int = 0,
    ) -> list[dict[str, Any]]:
        wanted = query.get("_id", {"$in": [A, B, C, D, E, F]})["$in"]
        found = [document for document in reversed(STORED) if document["_id"] in wanted]
        for field, direction in sort:
            found.sort(key=itemgetter(field), reverse=direction < 0)
        return found[skip:][: limit or None]


def users_of(*edges: str, **processes: str) -> Users:
    here: Any = Assignments()
    if edges:
        shards = (Shard(start=0, end=CIRCLE, edge=edges[0]),)
        urls = dict.fromkeys(edges, "http://e")
        named = {edge.replace("_", "-"): process for edge, process in processes.items()}
        here.table = TableAssigned(epoch=1, version=1, shards=shards, urls=urls, processes=named)
    stored: Any = Stored()
    return Users(stored, stored, stored, here)


async def member_page(users: Users, *ups: str, **page: int) -> MemberPage:
    return MemberPage.model_validate(await users.member_page(ups, ListPage(**page)), extra="forbid")


def online(shown: UserList | MemberPage) -> set[str]:
    return {user.up for user in shown.users if user.online}


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        (users_of("edge-1"), {A, C, E, F}),
        (users_of("edge-3", "edge-2"), {B, C}),
        (users_of(), {A, B, C, E, F}),
        (users_of("edge-1", edge_1="new"), {A, C, E, F}),
        (users_of("edge-1", edge_1="newer"), {A, C, F}),
        (users_of("edge-2", "edge-1", edge_2="new"), {A, B, C, E, F}),
    ],
)
async def test_who_came_by_an_edge_or_a_process_of_it_that_has_died_is_not_online(
    users: Users, expected: set[str]
) -> None:
    """F came by a persister that knows no processes: which one is stored is of an earlier time."""
    assert online(await member_page(users, A, B, C, D, E, F)) == expected
    assert online(await users.all(ListPage())) == expected


@given(st.integers(1, 8))
async def test_the_pages_of_users_are_all_of_them_once_and_in_order(per_page: int) -> None:
    shown, page = list[str](), ListPage(perPage=per_page)
    while (found := await users_of().all(page)).nextPage is not None:
        assert len(found.users) == per_page
        shown += [user.up for user in found.users]
        page = ListPage(page=found.nextPage, perPage=per_page)
    assert found.users
    assert [*shown, *(user.up for user in found.users)] == [A, B, C, D, E, F]


async def test_members_come_in_the_order_asked_for_whether_anybody_knows_them_or_not() -> None:
    unknown = "up202000000"
    shown = await member_page(users_of(), unknown, D, C, A, perPage=3)
    assert [user.up for user in shown.users] == [unknown, D, C]
    assert (shown.users[0].name, shown.users[2].name, shown.nextPage) == (None, "C", 1)
    last = await member_page(users_of(), unknown, D, C, A, perPage=3, page=1)
    assert [user.up for user in last.users] == [A]


async def test_only_the_solution_is_told_usernames() -> None:
    users = users_of()
    assert [user.username for user in (await users.all(ListPage())).users if user.up == C] == ["c"]
    assert "username" not in str(await users.member_page([C], ListPage()))


async def test_members_that_the_log_s_follower_has_taken_are_not_validated_again() -> None:
    """A model of each was half of what a page of a thousand cost."""
    shown = await users_of().member_page(["whoever"], ListPage())
    assert shown["users"] == [{"up": "whoever", "name": None, "online": False}]


@given(
    names=st.tuples(st.sampled_from(["c", "é"]), st.sampled_from(["C", "数学"])), is_online=..., is_stored=...
)
async def test_names_and_presence_are_written_each_under_its_own_key(
    names: tuple[str, str], is_online: bool, is_stored: bool
) -> None:
    nothing: Any = None
    writer: Any = FakeWriter()
    progress: Any = FakeProgress(stored=is_stored)
    state = UserState(up=A, username=names[0], name=names[1], online=is_online)
    accepted = await Users(nothing, writer, progress, nothing).set(state)
    assert accepted.model_dump() == {**state.model_dump(), "stored": is_stored}
    assert {topic for topic, _ in writer.records} == {topics.USERS}
    profile, presence = (record for _, record in writer.records)
    assert (profile.key, presence.key) == (A.encode(), f"{A}/online".encode())
    written = ProfileChanged.read(profile.headers, profile.value)
    assert (written.up, written.username, written.name) == (A, *names)
    assert PresenceChanged.read(presence.headers, presence.value) == PresenceChanged(up=A, online=is_online)
