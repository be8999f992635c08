"""Writing a message in a student's name, for the solution's own services.

The message goes through the log, as all do. Clients send theirs to their edge.
"""

import logging
import time
from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from api_gateway.history import History
from api_gateway.log_writer import SOURCE, LogWriter, WrittenRecord
from api_gateway.members import MembersOnly
from api_gateway.stored_progress import StoredProgress
from runtime import logs
from schemas import topics
from schemas.api import MessageAccepted, PostMessage
from schemas.documents import message_key
from schemas.ids import new_id
from schemas.log_records import MAX_TEXT_BYTES, MessageSent, encode
from schemas.refusals import HISTORY_UNAVAILABLE, OVERLOADED, TOO_LARGE, Refusal, Refused

log = logging.getLogger(__name__)


class Posting:
    """Posts messages."""

    def __init__(
        self, members: MembersOnly, writer: LogWriter, progress: StoredProgress, history: History
    ) -> None:
        self._members = members
        self._writer = writer
        self._progress = progress
        self._history = history

    async def post(self, new: PostMessage) -> tuple[MessageAccepted, HTTPStatus]:
        """Write a message to the log. Return it with 201, 200 if it was there before, 202 if not stored yet.

        Raises `Refused`: not a member, too large, unavailable, overloaded.
        """
        self._members.require(new.group, new.sender)
        if len(new.message.encode()) > MAX_TEXT_BYTES:
            raise Refused(TOO_LARGE, f"message: At most {MAX_TEXT_BYTES} bytes of UTF-8")
        message = MessageSent(
            id=new.id or new_id(),
            group=new.group,
            up=new.sender,
            message=new.message,
            sent_at=time.time_ns() // 1_000_000,
        )
        earlier = await self._find(message, ignoring=(HISTORY_UNAVAILABLE,)) if new.id else None
        if earlier is not None:
            return MessageAccepted(**earlier, stored=True), HTTPStatus.OK
        record = encode(message, key=message.group, source=SOURCE)
        (written,) = await self._writer.write(topics.MESSAGES, record)
        if log.isEnabledFor(logging.DEBUG):
            key = message_key(message.group, message.up, message.id)
            log.debug("a message is in the log", extra=logs.facts(message=key, seq=written.offset))
        return await self._answer(message, written)

    async def _answer(
        self, message: MessageSent, written: WrittenRecord
    ) -> tuple[MessageAccepted, HTTPStatus]:
        """Return the message as the store keeps it: the first of several records with the same id.

        Nothing is refused here: the message is in the log, and after a refusal it would be posted twice.
        """
        stored = await self._progress.wait([written])
        kept = await self._find(message, ignoring=(HISTORY_UNAVAILABLE, OVERLOADED)) if stored else None
        if kept is None:
            return _accepted(message, written), HTTPStatus.ACCEPTED
        is_new = kept["seq"] == written.offset
        return MessageAccepted(**kept, stored=True), HTTPStatus.CREATED if is_new else HTTPStatus.OK

    async def _find(self, message: MessageSent, *, ignoring: Collection[Refusal]) -> dict[str, Any] | None:
        """Return the stored message, if any. None also if reading is refused for a reason in ``ignoring``."""
        try:
            return await self._history.by_key(message_key(message.group, message.up, message.id))
        except Refused as error:
            if error.refusal not in ignoring:
                raise
            return None


def _accepted(message: MessageSent, written: WrittenRecord) -> MessageAccepted:
    return MessageAccepted(
        id=message.id,
        seq=written.offset,
        room=message.group,
        up=message.up,
        message=message.message,
        timestamp=written.timestamp,
        sent_at=message.sent_at,
        stored=False,
    )
