"""The rows of the solution-internal API: its callers are trusted services, its port is never public.

A handler's docstring is its summary in the OpenAPI document.
"""

from http import HTTPStatus
from typing import Any

from api_gateway.groups import Groups
from api_gateway.history import History
from api_gateway.posting import Posting
from api_gateway.ready_response import ReadyResponse
from api_gateway.routing import CREATED, WRITTEN, Route, accepted, reply
from api_gateway.users import Users
from schemas import api
from schemas.client_events import ChatMessage
from schemas.refusals import HISTORY_UNAVAILABLE, NOT_A_MEMBER, NOT_ALLOWED, NOT_FOUND, UNAVAILABLE

POSTED = (HTTPStatus.CREATED, HTTPStatus.OK, HTTPStatus.ACCEPTED)
ONE_GROUP = (NOT_FOUND, UNAVAILABLE)
READING = (HISTORY_UNAVAILABLE,)
READING_ONE = (*ONE_GROUP, *READING)
WRITING = (UNAVAILABLE,)
CREATING = (NOT_ALLOWED, UNAVAILABLE)
POSTING = (NOT_A_MEMBER, UNAVAILABLE)


class InternalApi:
    """What the solution's services may ask for."""

    def __init__(self, history: History, groups: Groups, posting: Posting, users: Users) -> None:
        self._history = history
        self._groups = groups
        self._posting = posting
        self._users = users

    def routes(self) -> list[Route[Any]]:
        """Return the rows."""
        return [
            Route("GET", "/group/", api.ListPage, api.GroupPage, self.groups, (UNAVAILABLE,)),
            Route(
                "POST", "/group/", api.CreateGroup, api.GroupAccepted, self.create_group, CREATING, CREATED
            ),
            Route(
                "GET", "/group/messages", api.GroupMessagesPage, api.History, self.group_messages, READING_ONE
            ),
            Route("GET", "/group/user/{up}", api.OneUser, api.GroupList, self.groups_of_user, (UNAVAILABLE,)),
            Route("GET", "/group/{id}/", api.OneGroupById, api.GroupWithMembers, self.group, ONE_GROUP),
            Route(
                "DELETE",
                "/group/{group}/member/{up}",
                api.OneMember,
                api.MemberAccepted,
                self.remove_member,
                ONE_GROUP,
                WRITTEN,
            ),
            Route("GET", "/message/", api.Page, api.MessageList, self.messages, READING),
            Route(
                "POST", "/message/", api.PostMessage, api.MessageAccepted, self.post_message, POSTING, POSTED
            ),
            Route("GET", "/message/{id}", api.OneMessage, ChatMessage, self.message, (NOT_FOUND, *READING)),
            Route("GET", "/user/", api.ListPage, api.UserList, self.users, READING),
            Route("POST", "/user/{up}", api.UserState, api.UserAccepted, self.set_user, WRITING, WRITTEN),
        ]

    async def groups(self, _: str, page: api.ListPage) -> ReadyResponse:
        """All groups."""
        found = self._groups.all(skip=page.skip, limit=page.perPage + 1)
        following = page.following(page.skip + len(found))
        return reply(api.GroupPage(groups=found[: page.perPage], nextPage=following))

    async def create_group(self, _: str, new: api.CreateGroup) -> ReadyResponse:
        """Create a group; with the id of one that no student has made, rename it and add members."""
        return accepted(await self._groups.create(new), HTTPStatus.CREATED)

    async def group_messages(self, _: str, page: api.GroupMessagesPage) -> ReadyResponse:
        """A page of a group's messages."""
        self._groups.require(page.groupID)
        return reply(await self._history.page(page.groupID, page))

    async def groups_of_user(self, _: str, user: api.OneUser) -> ReadyResponse:
        """A user's groups."""
        return reply(api.GroupList(groups=self._groups.of_user(user.up)))

    async def group(self, _: str, wanted: api.OneGroupById) -> ReadyResponse:
        """A group and who is in it."""
        return reply(self._groups.get(wanted.id))

    async def remove_member(self, _: str, wanted: api.OneMember) -> ReadyResponse:
        """Remove somebody from a group, also from one that a student has made."""
        return accepted(await self._groups.remove_for_solution(wanted.group, wanted.up))

    async def messages(self, _: str, page: api.Page) -> ReadyResponse:
        """A page of all messages."""
        return reply(await self._history.newest(page))

    async def post_message(self, _: str, new: api.PostMessage) -> ReadyResponse:
        """Post a message in a student's name."""
        return reply(*await self._posting.post(new))

    async def message(self, _: str, wanted: api.OneMessage) -> ReadyResponse:
        """One message."""
        return reply(await self._history.by_id(wanted.id))

    async def users(self, _: str, page: api.ListPage) -> ReadyResponse:
        """All users."""
        return reply(await self._users.all(page))

    async def set_user(self, _: str, state: api.UserState) -> ReadyResponse:
        """Set a user's names and presence."""
        return accepted(await self._users.set(state))
