"""Users are shown by what the store knows of them, and by which edges live."""

from typing import Any

import pytest

from api_gateway.users import Users
from runtime.assignments import Assignments
from schemas.api import ListPage, MemberPage, UserList
from schemas.assignments import Shard, TableAssigned
from schemas.documents import ONLINE_EDGE, ONLINE_PROCESS, ONLINE_PROCESS_SEQ, ONLINE_SEQ
from schemas.up_number import CIRCLE

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
    """A store that finds whoever is asked for, in no order."""

    async def find(self, _: str, query: dict[str, Any], **__: Any) -> list[dict[str, Any]]:
        wanted = query.get("_id", {"$in": [A, B, C, D, E, F]})["$in"]
        return [document for document in reversed(STORED) if document["_id"] in wanted]


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
