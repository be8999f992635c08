"""Messages that a test writes to the log, and whether the store holds them."""

import asyncio

from schemas import topics
from schemas.ids import new_id
from schemas.log_records import MessageSent, encode
from tests.integration.backing import Log, new_up
from tests.integration.persister.processes import History


async def say(log: Log, group: str, id: str = "", up: str = "", text: str = "hi") -> tuple[int, str]:  # noqa: A002 - the name on the wire
    """Write a message; return its seq and id."""
    sent = MessageSent(id=id or new_id(), group=group, up=up or new_up(), message=text, sent_at=7)
    return await log.write(topics.MESSAGES, encode(sent, key=group, source="test")), sent.id


async def say_many(log: Log, groups: list[str], count: int) -> dict[str, dict[int, str]]:
    """Write so many messages to each group; return their ids by seq, by group."""
    sent = await asyncio.gather(*(say(log, group) for _ in range(count) for group in groups))
    by_group: dict[str, dict[int, str]] = {group: {} for group in groups}
    for n, (seq, message_id) in enumerate(sent):
        by_group[groups[n % len(groups)]][seq] = message_id
    return by_group


async def holds(history: History, said: dict[str, dict[int, str]]) -> bool:
    """Whether history is the log: nothing missing, nothing doubled, each under its seq."""
    for group, expected in said.items():
        found = await history.messages(group)
        assert len(found) <= len(expected), "a message is stored twice"
        if {message["seq"]: message["id"] for message in found} != expected:
            return False
    return True
