"""The rows of the solution-internal API: its callers are trusted services, its port is never public."""

from http import HTTPStatus
from typing import Any

from api_gateway.groups import Groups
from api_gateway.history import History
from api_gateway.posting import Posting
from api_gateway.routing import Reply, Route, reply
from api_gateway.users import Users
from schemas import api
from schemas.client_events import ChatMessage
from schemas.refusals import (
    HISTORY_UNAVAILABLE,
    NOT_A_MEMBER,
    NOT_ALLOWED,
    NOT_FOUND,
    OVERLOADED,
    UNAVAILABLE,
)

WRITTEN = (HTTPStatus.OK, HTTPStatus.ACCEPTED)
CREATED = (HTTPStatus.CREATED, HTTPStatus.ACCEPTED)
POSTED = (HTTPStatus.CREATED, HTTPStatus.OK, HTTPStatus.ACCEPTED)
READING = (HISTORY_UNAVAILABLE, OVERLOADED)
WRITING = (UNAVAILABLE, OVERLOADED)


class InternalApi:
    """What the solution's services may ask for."""

    def __init__(self, history: History, groups: Groups, posting: Posting, users: Users) -> None:
        self._history = history
        self._groups = groups
        self._posting = posting
        self._users = users

    def routes(self) -> list[Route[Any]]:
        """Return the ten rows."""
        return [*self._group_routes(), *self._message_routes(), *self._user_routes()]

    def _group_routes(self) -> list[Route[Any]]:
        return [
            Route(
                "GET",
                "/group/",
                "All groups.",
                api.ListPage,
                api.GroupPage,
                self.groups,
                refusals=(UNAVAILABLE,),
            ),
            Route(
                "POST",
                "/group/",
                "Create a group; with the id of one that no student has made, rename it and add members.",
                api.CreateGroup,
                api.GroupAccepted,
                self.create_group,
                statuses=CREATED,
                refusals=(NOT_ALLOWED, *WRITING),
            ),
            Route(
                "GET",
                "/group/messages",
                "A page of a group's messages.",
                api.GroupMessagesPage,
                api.History,
                self.group_messages,
                refusals=(NOT_FOUND, UNAVAILABLE, *READING),
            ),
            Route(
                "GET",
                "/group/user/{up}",
                "A user's groups.",
                api.OneUser,
                api.GroupList,
                self.groups_of_user,
                refusals=(UNAVAILABLE,),
            ),
            Route(
                "GET",
                "/group/{id}/",
                "A group and who is in it.",
                api.OneGroupById,
                api.GroupWithMembers,
                self.group,
                refusals=(NOT_FOUND, UNAVAILABLE),
            ),
        ]

    def _message_routes(self) -> list[Route[Any]]:
        return [
            Route(
                "GET",
                "/message/",
                "A page of all messages.",
                api.Page,
                api.MessageList,
                self.messages,
                refusals=READING,
            ),
            Route(
                "POST",
                "/message/",
                "Post a message in a student's name.",
                api.PostMessage,
                api.MessageAccepted,
                self.post_message,
                statuses=POSTED,
                refusals=(NOT_A_MEMBER, *WRITING),
            ),
            Route(
                "GET",
                "/message/{id}",
                "One message.",
                api.OneMessage,
                ChatMessage,
                self.message,
                refusals=(NOT_FOUND, *READING),
            ),
        ]

    def _user_routes(self) -> list[Route[Any]]:
        return [
            Route(
                "GET",
                "/user/",
                "All users.",
                api.ListPage,
                api.UserList,
                self.users,
                refusals=READING,
            ),
            Route(
                "POST",
                "/user/{up}",
                "Say what is known of a user.",
                api.UserState,
                api.UserAccepted,
                self.set_user,
                statuses=WRITTEN,
                refusals=WRITING,
            ),
        ]

    async def groups(self, _: str, page: api.ListPage) -> Reply:
        found = self._groups.all(skip=page.skip, limit=page.perPage + 1)
        following = page.following(page.skip + len(found))
        return reply(api.GroupPage(groups=found[: page.perPage], nextPage=following))

    async def create_group(self, _: str, new: api.CreateGroup) -> Reply:
        return reply(*await self._groups.create(new))

    async def group_messages(self, _: str, page: api.GroupMessagesPage) -> Reply:
        self._groups.one(page.groupID)
        return reply(await self._history.page(page.groupID, page))

    async def groups_of_user(self, _: str, user: api.OneUser) -> Reply:
        return reply(api.GroupList(groups=self._groups.of_user(user.up)))

    async def group(self, _: str, wanted: api.OneGroupById) -> Reply:
        return reply(self._groups.one(wanted.id))

    async def messages(self, _: str, page: api.Page) -> Reply:
        return reply(await self._history.newest(page))

    async def post_message(self, _: str, new: api.PostMessage) -> Reply:
        return reply(*await self._posting.post(new))

    async def message(self, _: str, wanted: api.OneMessage) -> Reply:
        return reply(await self._history.one(wanted.id))

    async def users(self, _: str, page: api.ListPage) -> Reply:
        return reply(await self._users.all(page))

    async def set_user(self, _: str, state: api.UserState) -> Reply:
        return reply(*await self._users.set(state))
