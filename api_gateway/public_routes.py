"""The rows of the public API. A handler only passes arguments on and returns the answer.

Its docstring is its summary in the OpenAPI document.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

from api_gateway.groups import Groups
from api_gateway.history import History
from api_gateway.location import Locations
from api_gateway.members import MembersOnly
from api_gateway.reading_turns import ReadsOfUsers
from api_gateway.ready_response import ReadyResponse
from api_gateway.routing import CREATED, WRITTEN, Route, accepted, reply
from api_gateway.users import Users
from schemas import api
from schemas.refusals import HISTORY_UNAVAILABLE, NO_EDGE, NOT_A_MEMBER, NOT_ALLOWED, UNAVAILABLE

MEMBERS_ONLY = (NOT_A_MEMBER, UNAVAILABLE)
BUNDLING = (UNAVAILABLE, HISTORY_UNAVAILABLE)
READING = (NOT_A_MEMBER, *BUNDLING)
CREATING = (NOT_ALLOWED, UNAVAILABLE)
WRITING = (NOT_A_MEMBER, *CREATING)


class PublicApi:
    """What a student may ask for. ``up`` is the caller."""

    def __init__(
        self,
        locations: Locations,
        history: History,
        groups: Groups,
        members: MembersOnly,
        users: Users,
        reads: ReadsOfUsers,
    ) -> None:
        self._locations = locations
        self._history = history
        self._groups = groups
        self._members = members
        self._users = users
        self._reads = reads

    def routes(self) -> list[Route[Any]]:
        """Return the rows."""
        return [
            Route("GET", "/chat/location", api.NoArguments, api.Location, self.location, (NO_EDGE,)),
            Route("GET", "/chat/message", api.BundlePage, api.HistoryBundle, self.bundle, BUNDLING),
            Route("GET", "/chat/{group}/message", api.GroupHistoryPage, api.History, self.history, READING),
            Route("GET", "/chat/group", api.NoArguments, api.GroupList, self.my_groups, (UNAVAILABLE,)),
            Route(
                "POST",
                "/chat/group",
                api.CreateGroup,
                api.GroupAccepted,
                self.create_group,
                (*CREATING, HISTORY_UNAVAILABLE),
                CREATED,
            ),
            Route("GET", "/chat/group/{group}", api.OneGroup, api.GroupWithMembers, self.group, MEMBERS_ONLY),
            Route(
                "GET",
                "/chat/group/{group}/member",
                api.GroupMembersPage,
                api.MemberPage,
                self.members,
                READING,
            ),
            Route(
                "PUT",
                "/chat/group/{group}/member/{up}",
                api.OneMember,
                api.MemberAccepted,
                self.add_member,
                WRITING,
                WRITTEN,
            ),
            Route(
                "DELETE",
                "/chat/group/{group}/member/{up}",
                api.OneMember,
                api.MemberAccepted,
                self.remove_member,
                WRITING,
                WRITTEN,
            ),
        ]

    async def location(self, up: str, _: api.NoArguments) -> ReadyResponse:
        """Where my client connects."""
        return ReadyResponse(self._locations.find(up))

    async def history(self, up: str, page: api.GroupHistoryPage) -> ReadyResponse:
        """A page of one of my groups."""
        with self._reading(page.group, up):
            return reply(await self._history.page(page.group, page))

    async def bundle(self, up: str, page: api.BundlePage) -> ReadyResponse:
        """A page of each of my groups."""
        groups = self._members.groups_of(up)
        with self._reads.counted(up):
            may_read = partial(self._members.is_member, up=up)
            bundle = await self._history.bundle(up, groups, page, may_read)
        # Reading may take half a minute: this gateway may have fallen behind the log of members.
        self._members.require_ready()
        return reply(bundle)

    async def my_groups(self, up: str, _: api.NoArguments) -> ReadyResponse:
        """My groups."""
        return reply(api.GroupList(groups=self._groups.of_user(up)))

    async def create_group(self, up: str, new: api.CreateGroup) -> ReadyResponse:
        """Create a group of mine."""
        return accepted(await self._groups.create_for(up, new), HTTPStatus.CREATED)

    async def group(self, up: str, wanted: api.OneGroup) -> ReadyResponse:
        """One of my groups and who is in it."""
        return reply(self._groups.get_for_member(up, wanted.group))

    async def members(self, up: str, page: api.GroupMembersPage) -> ReadyResponse:
        """The names of who is in one of my groups, and whether they are online."""
        with self._reading(page.group, up):
            return reply(await self._users.member_page(self._members.members_of(page.group), page))

    async def add_member(self, up: str, wanted: api.OneMember) -> ReadyResponse:
        """Add somebody to one of my groups."""
        return accepted(await self._groups.add(up, wanted.group, wanted.up))

    async def remove_member(self, up: str, wanted: api.OneMember) -> ReadyResponse:
        """Leave a group, or remove somebody from one that I created."""
        return accepted(await self._groups.remove(up, wanted.group, wanted.up))

    @contextmanager
    def _reading(self, group: str, up: str) -> Iterator[None]:
        """Require membership before and after the block. Raises `Refused`.

        The store may be slow: who was removed meanwhile gets no answer.
        """
        self._members.require(group, up)
        with self._reads.counted(up):
            yield
        self._members.require(group, up)
