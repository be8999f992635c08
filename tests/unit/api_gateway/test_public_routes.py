"""Only members read, and who has been removed while they waited for an answer is none."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from api_gateway.history import GROUPS_PER_QUERY, MAX_BUNDLED_MESSAGES, MAX_MESSAGES_PER_BUNDLE, History
from api_gateway.public_routes import PublicApi
from api_gateway.reading_turns import ReadsOfUsers
from api_gateway.ready_response import ReadyResponse
from api_gateway.settings import GatewaySettings
from schemas.api import MAX_PER_BUNDLE, BundlePage, HistoryBundle
from schemas.refusals import HISTORY_UNAVAILABLE, NOT_A_MEMBER, UNAVAILABLE, Refusal
from tests.unit.api_gateway.parts import PUBLIC, GroupParts, until
from tests.unit.refusing import refuses
from tests.waiting import passes

A, B = "up200000001", "up200000002"


class SlowStore:
    """Answers nothing until it is let, and holds one message of each group then."""

    def __init__(self) -> None:
        self.asked: list[Collection[str]] = []
        self.goes_on = asyncio.Event()
        self.meanwhile: Callable[[], None] = lambda: None

    async def up_to(self, _topic: str, partitions: Collection[int]) -> Mapping[int, int]:
        return dict.fromkeys(partitions, 0)

    async def find(self, _collection: str, query: dict[str, Any], **_: Any) -> list[dict[str, Any]]:
        await self._asked_for([query["group"]])
        return [_message(query["group"])]

    async def aggregate(self, _collection: str, pipeline: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        groups = pipeline[1]["$project"]["group"]["$literal"]
        await self._asked_for(groups)
        return [{"group": group, "messages": [_message(group)]} for group in groups]

    async def member_page(self, ups: Sequence[str], _page: object) -> dict[str, Any]:
        await self._asked_for(ups)
        return {"users": [], "nextPage": None}

    async def _asked_for(self, what: Collection[str]) -> None:
        self.asked.append(what)
        await self.goes_on.wait()
        self.meanwhile()


def _message(group: str) -> dict[str, Any]:
    return {"id": "m", "seq": 1, "group": group, "up": B, "message": "", "timestamp": 1, "sentAt": 1}


class Api:
    """A student's API of real parts, on a slow store."""

    def __init__(self) -> None:
        self.parts, self.store = GroupParts(), SlowStore()
        shown: Any = self.store
        settings = GatewaySettings(token_secret=SecretStr("x" * 32))
        history = History(shown, shown, settings)
        nothing: Any = None
        parts = self.parts
        self.routes = PublicApi(nothing, history, parts.groups, parts.members, shown, ReadsOfUsers(100))

    def join(self, up: str, *groups: str) -> None:
        for group in groups:
            self.parts.memberships.set_member(group, up, member=True)

    def remove(self, up: str, *groups: str) -> None:
        for group in groups:
            self.parts.memberships.set_member(group, up, member=False)


def shown_in(answer: ReadyResponse) -> list[str]:
    return [one.group for one in HistoryBundle.model_validate_json(answer.body).groups]


async def test_a_bundle_that_waits_for_its_turn_is_of_the_groups_that_its_reader_is_still_in() -> None:
    api = Api()
    before_me = [f"up20000010{n}" for n in range(MAX_BUNDLED_MESSAGES // MAX_MESSAGES_PER_BUNDLE)]
    for up in before_me:
        api.join(up, *(f"group-{n}" for n in range(1_000)))
    api.join(A, "art", "maths")
    large = BundlePage(perPage=MAX_PER_BUNDLE)
    before = [asyncio.create_task(api.routes.bundle(up, large)) for up in before_me]
    await until(lambda: len(api.store.asked) == len(before))
    mine = asyncio.create_task(api.routes.bundle(A, BundlePage()))
    await passes()
    assert len(api.store.asked) == len(before), "it has its turn already"
    api.remove(A, "maths")
    api.join(A, "new here")
    api.store.goes_on.set()
    await asyncio.gather(*before)
    assert shown_in(await mine) == ["art"]


async def test_what_a_bundle_reads_is_shown_only_of_groups_that_its_reader_was_in_when_it_was_read() -> None:
    api = Api()
    groups = [f"group-{n:02}" for n in range(3 * GROUPS_PER_QUERY)]
    first, second, third = (groups[n : n + GROUPS_PER_QUERY] for n in range(0, len(groups), GROUPS_PER_QUERY))
    api.join(A, *groups)
    removed = [[first[0], third[0]], [first[1]], []]
    api.store.meanwhile = lambda: api.remove(A, *removed.pop(0))
    api.store.goes_on.set()
    assert shown_in(await api.routes.bundle(A, BundlePage())) == [*first[1:], *second, *third[1:]]
    assert not removed


Ask = Callable[[PublicApi], Awaitable[ReadyResponse]]

GIVEN = {"group": "maths", "up": B, "id": "m"}


def asks(number: int) -> Ask:
    """Return a request for the route in this row, by what its path names."""

    def ask(public: PublicApi) -> Awaitable[ReadyResponse]:
        route = public.routes()[number]
        return route.handle(A, route.takes.model_validate({name: GIVEN[name] for name in route.path_names}))

    ask.__name__ = PUBLIC[number].path
    return ask


of_one_group = [
    asks(number)
    for number, route in enumerate(PUBLIC)
    if "group" in route.path_names and HISTORY_UNAVAILABLE in route.refusals
]
"""Every route that reads from the store what only members of a group may see."""


def fall_behind(api: Api) -> None:
    api.parts.fault = "behind the store for 10 s"


@pytest.mark.parametrize(
    ("ask", "meanwhile", "refusal"),
    [
        *((ask, fall_behind, UNAVAILABLE) for ask in of_one_group),
        (lambda routes: routes.bundle(A, BundlePage()), fall_behind, UNAVAILABLE),
        *((ask, lambda api: api.remove(A, "maths"), NOT_A_MEMBER) for ask in of_one_group),
    ],
)
async def test_nothing_is_told_by_a_gateway_that_falls_behind_nor_to_who_is_removed_while_the_store_is_slow(
    ask: Ask, meanwhile: Callable[[Api], None], refusal: Refusal
) -> None:
    api = Api()
    api.join(A, "maths")
    asked = asyncio.ensure_future(ask(api.routes))
    await until(lambda: api.store.asked)
    meanwhile(api)
    api.store.goes_on.set()
    with refuses(refusal):
        await asked
