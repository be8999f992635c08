"""What the public and the solution-internal REST APIs accept and answer.

Field names are those of the wire. Pages start at 0; page 0 holds the newest messages, and within a page
messages stand in log order.
"""

import re
import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from schemas.client_events import ChatMessage
from schemas.ids import EdgeId, GroupId, MessageId
from schemas.log_records import MAX_EXACT, MAX_NAME_CHARS
from schemas.up_number import UpNumber

MAX_PER_PAGE = 200
MAX_PAGE = 10_000
MAX_PER_BUNDLE = 50
MAX_PER_LIST = 1_000
MAX_LISTED = 10_000_000
"""Entries that can be reached, however few a page has: `ListPage.following` names no page that is refused."""
MAX_NEW_MEMBERS = 5_000

INVISIBLE: Final = ("C", "Z", "M")
"""Unicode categories without a visible form. Unassigned characters ("Cn") may be new and count as visible."""

BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Fillers that count as letters or symbols but are invisible, too."""


def _visible(name: str) -> str:
    categories = (unicodedata.category(character) for character in name if character not in BLANK)
    if all(category != "Cn" and category.startswith(INVISIBLE) for category in categories):
        raise PydanticCustomError("unseen", "String should have a character that can be seen")
    return name


Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=1,
        max_length=MAX_NAME_CHARS,
        pattern=r"^[^\u0000-\u001f\u007f-\u009f]*$",
    ),
    AfterValidator(_visible),
    Field(
        description="No control characters, and one at least that can be seen; spaces around it are dropped."
    ),
]
"""A name as people read it in lists. Names that are in the log already are not checked again."""


_WHOLE: Final = re.compile(r"-?[0-9]{1,20}")


def _from_query(given: object) -> object:
    """Return the text of a whole number as an int: query arguments are text."""
    return int(given) if isinstance(given, str) and _WHOLE.fullmatch(given) else given


Whole = Annotated[int, BeforeValidator(_from_query)]
"""A whole number, in a query or in JSON."""


class Request(BaseModel):
    """A request's arguments; unknown ones are refused, so that a typing error is noticed.

    Types are strict: ``true`` is not 1, and ``"yes"`` is not ``true``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NoArguments(Request):
    """It takes no arguments."""


class Page(Request):
    """Which page of a list."""

    page: Whole = Field(default=0, ge=0, le=MAX_PAGE)
    perPage: Whole = Field(default=50, ge=1, le=MAX_PER_PAGE)

    @property
    def skip(self) -> int:
        """How many entries are on the pages before this one."""
        return self.page * self.perPage


class BundlePage(Page):
    """Which page of each of the user's groups. Pages are smaller here: there are many of them."""

    perPage: Whole = Field(default=20, ge=1, le=MAX_PER_BUNDLE)


class ListPage(Page):
    """Which page of a list that most callers want whole."""

    page: Whole = Field(default=0, ge=0, le=MAX_LISTED)
    perPage: Whole = Field(default=MAX_PER_LIST, ge=1, le=MAX_PER_LIST)

    def following(self, end: int) -> int | None:
        """Return the number of the next page of a list with at least ``end`` entries; None on the last."""
        return self.page + 1 if end > self.skip + self.perPage else None


class HistoryPage(Page):
    """Which messages of a group: a page, or those before or after a seq (cheap at any depth)."""

    before: Annotated[int, Field(ge=0, le=MAX_EXACT), BeforeValidator(_from_query)] | None = Field(
        default=None, description="Only messages with a smaller seq."
    )
    after: Annotated[int, Field(ge=-1, le=MAX_EXACT), BeforeValidator(_from_query)] | None = Field(
        default=None,
        description="Only messages with a larger seq; without `before`, page 0 holds the oldest of them.",
    )


class GroupHistoryPage(HistoryPage):
    """Which messages of the group: a page, or those before or after a seq (cheap at any depth)."""

    group: GroupId


class GroupMessagesPage(HistoryPage):
    """Which messages of which group: a page, or those before or after a seq (cheap at any depth)."""

    groupID: GroupId


class OneGroup(Request):
    """A group, by its id."""

    group: GroupId


class GroupMembersPage(ListPage):
    """Which page of a group's members."""

    group: GroupId


class OneGroupById(Request):
    """A group, as the internal API names it."""

    id: GroupId


class OneMember(Request):
    """A user in a group."""

    group: GroupId
    up: UpNumber


class OneMessage(Request):
    """A message, by its id: the earliest, if several groups or senders have one of this id."""

    id: MessageId


class OneUser(Request):
    """A user, by their UP number."""

    up: UpNumber


class CreateGroup(Request):
    """A group to create. Its creator is a member, and so is everybody in ``users``."""

    name: Name
    users: list[UpNumber] = Field(default_factory=list, max_length=MAX_NEW_MEMBERS)
    id: GroupId | None = Field(
        default=None,
        description="The group's id, such as a new UUID: a retry with it makes no second group. Without one, "
        "each request makes another group, even one that fails.",
    )


class PostMessage(Request):
    """A message that a part of the solution posts in a student's name."""

    group: GroupId
    sender: UpNumber = Field(alias="from")
    message: str = Field(description="At most 16 KiB of UTF-8.")
    id: MessageId | None = Field(default=None, description="The same id again makes no second message.")


class UserState(Request):
    """Names and presence of the user in the path."""

    up: UpNumber
    username: Name
    name: Name
    online: bool = Field(
        description="Replaces what edges have said, also of somebody who is connected, until an edge says "
        "anew that they are online, or that they have left."
    )


class Location(BaseModel):
    """Where a student's client connects."""

    url: str
    edge: EdgeId
    shard: str
    version: str = Field(description="The table's epoch and version.")


class History(BaseModel):
    """Messages of one group, in log order."""

    group: GroupId
    messages: list[ChatMessage]
    storedUpTo: int = Field(description="History holds every message of the group up to this seq.")


class HistoryBundle(BaseModel):
    """One page of each of the user's groups, by group."""

    groups: list[History]


class Group(BaseModel):
    """A group as its members and the solution see it."""

    id: GroupId
    name: str


class GroupWithMembers(Group):
    """A group and who is in it."""

    users: list[UpNumber]


class GroupList(BaseModel):
    """Groups, by id."""

    groups: list[Group]


class GroupPage(GroupList):
    """A page of all groups, by id."""

    nextPage: int | None = Field(description="The page to ask for next; null on the last one.")


class MessageList(BaseModel):
    """Messages of all groups, newest page first; within the page by time, and those of one time by seq."""

    messages: list[ChatMessage]


class MessageAccepted(ChatMessage):
    """A message that is durable in the log. ``stored`` says whether history has it already.

    While ``stored`` is false, ``seq`` is that of the record just written. If the same id was sent before,
    history keeps the first one.
    """

    stored: bool


class GroupAccepted(GroupWithMembers):
    """A group that is durable in the log. ``stored`` says whether MongoDB has it already."""

    stored: bool


class User(BaseModel):
    """A user as the solution sees it. Names are null until they are set."""

    up: UpNumber
    username: str | None
    name: str | None
    online: bool


class UserAccepted(User):
    """A user whose state is durable in the log."""

    stored: bool


class UserList(BaseModel):
    """Users, by UP number."""

    users: list[User]
    nextPage: int | None = Field(description="The page to ask for next; null on the last one.")


class Member(BaseModel):
    """A user as other members of a group see them. The name is null until it is set."""

    up: UpNumber
    name: str | None
    online: bool


class MemberPage(BaseModel):
    """A page of a group's members, by UP number."""

    users: list[Member]
    nextPage: int | None = Field(description="The page to ask for next; null on the last one.")


class MemberAccepted(BaseModel):
    """A membership, or its end, that is durable in the log."""

    group: GroupId
    up: UpNumber
    member: bool = Field(description="Whether they are a member from now on.")
    stored: bool
