"""Users are shown by what the store knows of them, and by which edges live."""

from typing import Any

import pytest

from api_gateway.users import Users
from runtime.assignments import Assignments
from schemas.api import ListPage, MemberPage, UserList
from schemas.assignments import Shard, TableAssigned
from schemas.documents import ONLINE_EDGE
from schemas.up_number import CIRCLE

A, B, C, D = "up202000001", "up202000002", "up202000003", "up202000004"
STORED: list[dict[str, Any]] = [
    {"_id": A, "online": True, ONLINE_EDGE: "edge-1"},
    {"_id": B, "online": True, ONLINE_EDGE: "edge-2"},
    {"_id": C, "online": True, ONLINE_EDGE: None, "name": "C", "username": "c"},
    {"_id": D, "online": False, ONLINE_EDGE: "edge-1"},
]


class Stored:
    """A store that finds whoever is asked for, in no order."""

    async def find(self, _: str, query: dict[str, Any], **__: Any) -> list[dict[str, Any]]:
        wanted = query.get("_id", {"$in": [A, B, C, D]})["$in"]
        return [document for document in reversed(STORED) if document["_id"] in wanted]


def users_of(*edges: str) -> Users:
    here: Any = Assignments()
    if edges:
        shards = (Shard(start=0, end=CIRCLE, edge=edges[0]),)
        here.table = TableAssigned(epoch=1, version=1, shards=shards, urls=dict.fromkeys(edges, "http://e"))
    stored: Any = Stored()
    return Users(stored, stored, stored, here)


async def among(users: Users, *ups: str, **page: int) -> MemberPage:
    return MemberPage.model_validate(await users.among(ups, ListPage(**page)), extra="forbid")


def online(shown: UserList | MemberPage) -> set[str]:
    return {user.up for user in shown.users if user.online}


@pytest.mark.parametrize(
    ("edges", "expected"), [(("edge-1",), {A, C}), (("edge-3", "edge-2"), {B, C}), ((), {A, B, C})]
)
async def test_who_came_by_an_edge_that_has_died_is_not_online(
    edges: tuple[str, ...], expected: set[str]
) -> None:
    users = users_of(*edges)
    assert online(await among(users, A, B, C, D)) == expected
    assert online(await users.all(ListPage())) == expected


async def test_members_come_in_the_order_asked_for_whether_anybody_knows_them_or_not() -> None:
    unknown = "up202000000"
    shown = await among(users_of(), unknown, D, C, A, perPage=3)
    assert [user.up for user in shown.users] == [unknown, D, C]
    assert (shown.users[0].name, shown.users[2].name, shown.nextPage) == (None, "C", 1)
    last = await among(users_of(), unknown, D, C, A, perPage=3, page=1)
    assert [user.up for user in last.users] == [A]


async def test_only_the_solution_is_told_usernames() -> None:
    users = users_of()
    assert [user.username for user in (await users.all(ListPage())).users if user.up == C] == ["c"]
    assert "username" not in str(await users.among([C], ListPage()))


async def test_members_that_the_log_s_follower_has_taken_are_not_validated_again() -> None:
    """A model of each was half of what a page of a thousand cost."""
    shown = await users_of().among(["whoever"], ListPage())
    assert shown["users"] == [{"up": "whoever", "name": None, "online": False}]
