"""``python -m persister.erase``: the operators' command that takes out of history what must not stay there.

It erases for good: messages before a day, one message, or all that a student has said and what is known of
them. The log forgets messages by itself, a week later, and edges do sooner. It takes a persister's settings.
docs/operating/personal-data.md says what else there is to do.
"""

import asyncio
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from pydantic import TypeAdapter, ValidationError

from persister.batch import Ends
from persister.progress import wait_until_stored
from persister.settings import PersisterSettings
from runtime import kafka
from runtime.kafka_topics import ensure_topics
from runtime.mongo import Store, StoreUnavailable, open_store
from runtime.read_settings import load
from runtime.service import Fatal
from schemas import documents, topics
from schemas.ids import membership_key
from schemas.log_records import MAX_EXACT, MemberJoined, PresenceChanged, ProfileChanged, encode, tombstone
from schemas.up_number import UpNumber

AT_ONCE: Final = 1_000
"""Documents that are read and deleted at once: each call has to end within ``MONGODB_TIMEOUT_MS``."""
SOURCE: Final = "persister.erase"


async def erase_before(store: Store, day: date) -> int:
    """Erase the messages that came before a day began, in UTC. Returns how many."""
    began_ms = int(datetime.combine(day, time.min, UTC).timestamp() * 1000)
    return await _erase(store, {"timestamp": {"$lt": began_ms}})


async def erase_message(store: Store, group: str, seq: int) -> int:
    """Erase the message with this ``seq`` in its group. Returns the number of erased messages: 1 or 0."""
    return await _erase(store, {"group": group, "seq": seq})


async def erase_student(store: Store, settings: PersisterSettings, up: str) -> int:
    """End a student's memberships; erase their names, presence and messages. Returns the number of messages.

    Raises TimeoutError if no persister stores the log; then all messages are still there.
    """
    # Records that are stored later would not be found: a membership or a message would stay.
    await wait_until_stored(store, await _ends(settings, topics.MEMBERSHIPS))
    memberships = await store.find(documents.MEMBERSHIPS, {"up": up})
    groups = {membership["group"] for membership in memberships}
    written_up_to = await _write_erasure(settings, up, groups)
    await wait_until_stored(store, {**written_up_to, **await _ends(settings, topics.MESSAGES)})
    erased = 0
    async for group in _all_groups(store, groups):
        await store.delete(documents.MEMBERSHIPS, [membership_key(group, up)])
        erased += await _erase(store, {"_id": _keys_of(group, up)})
    await store.delete(documents.USERS, [up])
    return erased


async def _ends(settings: PersisterSettings, name: str) -> Ends:
    """Return where a topic ends in the log."""
    every = [TopicPartition(settings.topic(name), n) for n in range(settings.kafka_partitions)]
    async with kafka.started_consumer(settings) as consumer:
        ends: Ends = await consumer.end_offsets(every)
    return ends


async def _write_erasure(settings: PersisterSettings, up: str, groups: set[str]) -> Ends:
    """Write records that end the memberships and empty the names and presence. Returns their ends."""
    records = [
        (topics.MEMBERSHIPS, tombstone(key=membership_key(group, up), source=SOURCE, kind=MemberJoined))
        for group in groups
    ]
    offline = PresenceChanged(up=up, online=False)
    records.append((topics.USERS, encode(offline, key=f"{up}/online", source=SOURCE)))
    # No tombstone: on this topic persisters set a record without a value aside.
    nameless = ProfileChanged(up=up, username="", name="")
    records.append((topics.USERS, encode(nameless, key=up, source=SOURCE)))
    ends: Ends = {}
    async with kafka.started_producer(settings) as producer:
        for name, record in records:
            written = await (
                await kafka.write(producer, settings.topic(name), record, settings.kafka_partitions)
            )
            ends[TopicPartition(written.topic, written.partition)] = written.offset + 1
    return ends


async def _all_groups(store: Store, first_groups: set[str]) -> AsyncIterator[str]:
    """Yield the stored groups, ``first_groups`` first: a student may have left any of them."""
    for group_id in first_groups:
        yield group_id
    last = ""
    while found := await store.find(
        documents.GROUPS, {"_id": {"$gt": last}}, sort=[("_id", 1)], limit=AT_ONCE
    ):
        for group in found:
            if group["_id"] not in first_groups:
                yield group["_id"]
        last = found[-1]["_id"]


def _keys_of(group: str, up: str) -> documents.Document:
    """Return the range in which the ``_id`` of all messages lie that a student has sent to a group."""
    first = documents.message_key(group, up, "")
    return {"$gt": first, "$lt": first[:-1] + chr(ord(first[-1]) + 1)}


async def _erase(store: Store, query: documents.Document) -> int:
    """Erase the messages that match, by their ids: a thousand texts are megabytes. Returns how many."""
    pipeline: list[documents.Document] = [{"$match": query}, {"$limit": AT_ONCE}, {"$project": {"_id": 1}}]
    erased = 0
    while found := [message["_id"] for message in await store.aggregate(documents.MESSAGES, pipeline)]:
        await store.delete(documents.MESSAGES, found)
        erased += len(found)
    return erased


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m persister.erase", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    before = commands.add_parser("before", help="erase all messages that came before a day (UTC)")
    before.add_argument("day", type=_past_day, metavar="YYYY-MM-DD")
    message = commands.add_parser("message", help="erase one message")
    message.add_argument("group")
    message.add_argument("seq", type=_seq)
    student = commands.add_parser("student", help="erase a student's messages, memberships and names")
    student.add_argument("up", type=_up, metavar="UP")
    return parser.parse_args()


def _past_day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text} is no day: write it as 2026-01-31") from error
    if day > datetime.now(UTC).date():
        raise ArgumentTypeError(f"{text} is still to come, and that would be all messages")
    return day


def _seq(text: str) -> int:
    seq = int(text)
    if abs(seq) > MAX_EXACT:
        raise ArgumentTypeError(f"{text} is no seq: there are none above {MAX_EXACT}")
    return seq


def _up(text: str) -> str:
    try:
        return TypeAdapter(UpNumber).validate_python(text)
    except ValidationError as error:
        raise ArgumentTypeError(f"{text} is no UP number: write it as up201906045") from error


async def _main(arguments: Namespace, settings: PersisterSettings) -> int:
    try:
        async with open_store(settings) as store:
            erased = await _run(arguments, settings, store)
    except (Fatal, KafkaError, StoreUnavailable, OSError) as error:
        sys.stderr.write(f"not all is erased, run it again: {error!r}\n")
        return 1
    sys.stdout.write(f"messages erased: {erased}\n")
    return 0


async def _run(arguments: Namespace, settings: PersisterSettings, store: Store) -> int:
    if arguments.command == "before":
        return await erase_before(store, arguments.day)
    if arguments.command == "message":
        return await erase_message(store, arguments.group, arguments.seq)
    # With another number of partitions a record would go to a partition without the others of its key.
    await ensure_topics(settings, [topics.MESSAGES, topics.MEMBERSHIPS, topics.USERS])
    return await erase_student(store, settings, arguments.up)


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(_arguments(), load(PersisterSettings, "persister.erase", []))))
