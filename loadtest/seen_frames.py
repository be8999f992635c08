"""Parses chat messages once for all students of this process: the same bytes are the same message.

An edge writes the same frame to every member of a room. Looking its bytes up costs a fraction of
parsing them and leaves nothing unchecked: each byte is compared with a frame that was validated.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import orjson

from schemas.client_events import CHAT_MESSAGE, ChatMessage

MAX_KEPT: Final = 50_000
MAX_READS_KEPT: Final = 2_000
"""Reads are long, and all who get the same one get it soon after each other."""

_EVENT: Final = b'42["' + CHAT_MESSAGE.encode() + b'",'


class Read:
    """Whole chat messages that came in one read, and nothing else: all who get the same bytes share it."""

    __slots__ = ("first", "heads", "last", "messages", "room")

    def __init__(self, messages: Sequence[ChatMessage]) -> None:
        self.messages = messages
        self.heads = {message.room: message.seq for message in messages}
        """By room, the seq of its last message."""
        in_order = all(one.room == next_.room and one.seq < next_.seq for one, next_ in pairwise(messages))
        self.room = messages[0].room if in_order else ""
        """The room of all of them; empty where they are of several, or their seqs do not rise."""
        self.first, self.last = messages[0].seq, messages[-1].seq


class SeenFrames(dict[bytes, ChatMessage]):
    """Chat messages by the text of their frame; the oldest go when there are too many."""

    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        super().__init__()
        self._max_kept = max_kept
        self.reads: dict[bytes, Read] = {}
        """By the bytes that were read, headers and all."""

    def parse(self, text: bytes) -> ChatMessage | None:
        """Return the chat message that this text is, and remember it; None where it is no such.

        Raises ValueError where it says that it is a chat message and is not one.
        """
        if not text.startswith(_EVENT):
            return None
        _, payload = orjson.loads(text[2:])
        message = ChatMessage.model_validate(payload)
        if len(self) >= self._max_kept:
            del self[next(iter(self))]
        self[text] = message
        return message

    def remember_read(self, data: bytes, frames: Iterable[bytes]) -> None:
        """Remember that these bytes are these frames, where all are chat messages that are known."""
        messages = [self.get(frame) for frame in frames]
        if None not in messages:
            if len(self.reads) >= MAX_READS_KEPT:
                del self.reads[next(iter(self.reads))]
            self.reads[data] = Read([message for message in messages if message is not None])
