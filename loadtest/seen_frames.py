"""A cache that parses chat messages once for all students of this process.

An edge writes the same frames to every member of a room. Looking up their bytes costs a fraction of parsing
them, and all is still checked: each byte is compared with a frame that was validated.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import orjson

from schemas.client_events import CHAT_MESSAGE, ChatMessage

MAX_KEPT: Final = 50_000
MAX_BATCHES_KEPT: Final = 8_000
"""Batches are long, and all members receive the same one at about the same time."""
BEGINNING_BYTES: Final = 64
"""Length of the key of a batch: its first bytes, with most of the first message's id."""

_EVENT: Final = b'42["' + CHAT_MESSAGE.encode() + b'",'


class Batch:
    """Chat messages with consecutive frames, shared by all who receive the same bytes."""

    __slots__ = ("count", "data", "first", "last", "messages", "room", "size")

    def __init__(self, data: bytes, messages: Sequence[ChatMessage]) -> None:
        self.data, self.size = data, len(data)
        self.messages, self.count = messages, len(messages)
        in_order = all(one.room == next_.room and one.seq < next_.seq for one, next_ in pairwise(messages))
        self.room = messages[0].room if in_order else ""
        """The room of all messages; empty if there are several rooms, or the seqs do not rise."""
        self.first, self.last = messages[0].seq, messages[-1].seq


class SeenFrames(OrderedDict[bytes, ChatMessage]):
    """Chat messages by the text of their frame; the oldest are evicted.

    Not a dict: finding a dict's first key scans the slots of all keys deleted since its last resize, so
    evicting would be quadratic.
    """

    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        super().__init__()
        self._max_kept = max_kept
        self.batches: OrderedDict[bytes, Batch] = OrderedDict()
        """By the first bytes of their frames, headers and all: of those that begin alike the newest."""

    def parse(self, text: bytes) -> ChatMessage | None:
        """Return a frame's chat message, and remember it; None if the frame is another event.

        Raises ValueError if it is an invalid chat message.
        """
        if not text.startswith(_EVENT):
            return None
        _, payload = orjson.loads(text[2:])
        message = ChatMessage.model_validate(payload)
        if len(self) >= self._max_kept:
            self.popitem(last=False)
        self[text] = message
        return message

    def remember_batch(self, data: bytes, messages: Sequence[ChatMessage]) -> None:
        """Remember that these bytes are the frames of these messages, one at least."""
        if len(self.batches) >= MAX_BATCHES_KEPT:
            self.batches.popitem(last=False)
        self.batches[data[:BEGINNING_BYTES]] = Batch(data, messages)
