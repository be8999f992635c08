"""The events between clients and edges over Socket.IO: names, payloads and acks.

``room`` is the contract's word for a group. Times are milliseconds since 1970, UTC.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from schemas.ids import GroupId, MessageId
from schemas.log_records import MAX_SENT_AT_MS
from schemas.refusals import RefusalBody
from schemas.up_number import UpNumber

ONLINE: Final = "online"
JOIN_ROOM: Final = "join room"
LEAVE_ROOM: Final = "leave room"
CHAT_MESSAGE: Final = "chat message"
JOINED: Final = "joined"
LEFT: Final = "left"
MOVE: Final = "move"
REFUSED: Final = "refused"
CONNECT_ERROR: Final = "connect_error"
"""The client libraries report a refused connection under this name."""

MAX_TOKEN_CHARS: Final = 8_192
MAX_CURSORS: Final = 1_000
"""So many, with the longest ids and the longest token, fit into an event (MAX_EVENT_BYTES)."""


class ClientEvent(BaseModel):
    """A payload that a client sends. Unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class ConnectAuth(ClientEvent):
    """Socket.IO's ``auth``: the token and, to resume, the newest seq received in each room."""

    token: str = Field(max_length=MAX_TOKEN_CHARS)
    since: dict[GroupId, int] | None = Field(
        default=None,
        max_length=MAX_CURSORS,
        description="By room: the newest seq received there. That of an ack does not count.",
    )


class GoOnline(ClientEvent):
    """``online``: show me as online."""

    up: UpNumber


class JoinRoom(ClientEvent):
    """``join room``: receive this room's messages; ``since`` asks for those missed after that seq."""

    up: UpNumber
    room: GroupId
    since: int | None = Field(default=None, ge=-1)


class LeaveRoom(ClientEvent):
    """``leave room``: stop receiving on this connection. The membership stays."""

    up: UpNumber
    room: GroupId


class SendMessage(ClientEvent):
    """``chat message`` from a client. The same ``id`` again, with any text, is no second message."""

    message: str = Field(description="At most 16 KiB of UTF-8.")
    up: UpNumber
    room: GroupId
    timestamp: int = Field(
        ge=0, le=MAX_SENT_AT_MS, description="The client's clock, in ms since 1970; kept as sentAt."
    )
    id: MessageId | None = None


class Ok(BaseModel):
    """The ack of an event without further results."""

    ok: bool = True


class RoomJoined(BaseModel):
    """State of a joined room: messages up to ``head`` are past, or among the ``missed`` that follow."""

    head: int = Field(description="The newest seq of the room's log that this edge has delivered.")
    recovered: bool = Field(description="False: there is a hole after since; read history over REST.")
    missed: int = Field(description="How many missed messages follow at once, before any live one.")


class JoinRoomOk(RoomJoined):
    """The ack of ``join room``."""

    ok: bool = True


class Joined(BaseModel):
    """``joined`` from the edge: after connecting, and whenever the user becomes a member of a group.

    A user in more than 500 groups gets several of them, each followed by what was missed in its own rooms.
    """

    rooms: dict[GroupId, RoomJoined]


class Left(BaseModel):
    """``left`` from the edge: the user is no longer a member of the room."""

    room: GroupId


class Moved(BaseModel):
    """``move`` from the edge: connect to ``url`` instead, within this time, and keep your cursors."""

    url: str
    reason: str = Field(description="balance or draining.")
    within_s: float = Field(description="Seconds after which this connection is closed.")


class ConnectRefused(RefusalBody):
    """The ``data`` of a refused connection."""

    url: str | SkipJsonSchema[None] = Field(
        default=None, description="Where the code is overloaded: another edge, to connect to instead."
    )


class SendMessageOk(BaseModel):
    """The ack of ``chat message``: it is durable, and ``seq`` orders it within its room."""

    id: MessageId
    seq: int
    timestamp: int = Field(description="The broker's append time, in ms since 1970.")


class ChatMessage(BaseModel):
    """``chat message`` to a client, and a message in history: the same shape everywhere."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    id: MessageId
    seq: int = Field(description="Orders the messages of a room; between two there may be holes.")
    room: GroupId
    up: UpNumber
    message: str
    timestamp: int = Field(description="The broker's append time, in ms since 1970.")
    sent_at: int = Field(description="The sender's own clock, in ms since 1970.")
