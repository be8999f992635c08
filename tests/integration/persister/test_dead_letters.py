"""Poison records: each lands in the dead letters with its reason, and its neighbours are stored."""

import asyncio
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaTimeoutError

from deploy.repository import REPOSITORY
from runtime.settings import KafkaSettings
from schemas import documents, topics
from schemas.ids import new_id
from schemas.log_records import DeadLetter, Encoded, GroupCreated, MemberJoined, MessageSent, encode
from tests.integration.backing import Log, new_group, new_up
from tests.integration.persister.messages import holds, say
from tests.integration.persister.processes import History, Persister, partition_with
from tests.waiting import DEADLINE_S, eventually

NewPersister = Callable[..., Persister]

pytestmark = pytest.mark.backing


def a_message(group: str, text: str = "hi", up: str = "") -> Encoded:
    sent = MessageSent(id=new_id(), group=group, up=up or new_up(), message=text, sent_at=7)
    return encode(sent, key=group, source="test")


async def dead_letters_of(keys: set[bytes], count: int) -> dict[tuple[str, bytes, int], DeadLetter]:
    """Wait for so many dead letters under these keys; return them by topic, key and offset."""
    consumer = AIOKafkaConsumer(
        topics.DEAD_LETTERS,
        bootstrap_servers=KafkaSettings().kafka_bootstrap_servers,
        auto_offset_reset="earliest",
    )
    found: dict[tuple[str, bytes, int], DeadLetter] = {}
    await consumer.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            while len(found) < count:
                record = await consumer.getone()
                if record.key in keys:
                    letter = DeadLetter.read(record.headers, record.value)
                    found[topics.of_any_generation(letter.topic), record.key, letter.offset] = letter
    except (TimeoutError, KafkaTimeoutError):
        pytest.fail(f"only {len(found)} dead letters of {count} came")
    finally:
        await consumer.stop()
    return found


def poison_of(group: str, up: str) -> list[tuple[str, Encoded, str]]:
    """Return records that nobody can take: topic, record, and a word of the reason."""
    key = group.encode()
    good = a_message(group)
    other = f"{group}x"
    joined = encode(MemberJoined(group=group, up=up), key=group, source="test")
    created = encode(GroupCreated(group=group, name="x", created_by=None), key=other, source="test")
    return [
        (topics.MESSAGES, Encoded(key, b'{"id": ', good.headers), "value"),
        (topics.MESSAGES, Encoded(key, b"\xff\x00", good.headers), "value"),
        (topics.MESSAGES, Encoded(key, good.value, []), "no ce_type header"),
        (topics.MESSAGES, Encoded(key, good.value, [("ce_type", b"other")]), "type is"),
        (topics.MESSAGES, Encoded(other.encode(), good.value, good.headers), "the key is not"),
        (topics.MESSAGES, Encoded(key, None, good.headers), "no value"),
        (topics.MESSAGES, a_message(group, "é" * 8_193), "larger than"),
        (topics.MEMBERSHIPS, Encoded(key, None, []), "the key does not name"),
        (topics.MEMBERSHIPS, joined, "the key is not"),
        (topics.GROUPS, Encoded(key, None, []), "no ce_type"),
        (topics.GROUPS, created, "the key is not"),
        (topics.USERS, Encoded(up.encode(), b"{}", []), "no ce_type"),
    ]


async def test_poison_records_land_in_the_dead_letters_and_the_partition_goes_on(
    log: Log, history: History, new_persister: NewPersister
) -> None:
    group, up = new_group(), new_up()
    poison = poison_of(group, up)
    said = {}
    offsets = {}
    for topic, record, reason in poison:
        seq, message_id = await say(log, group)
        said[seq] = message_id
        offsets[topic, record.key, await log.write(topic, record)] = record, reason
    seq, message_id = await say(log, group)
    said[seq] = message_id
    persister = new_persister()
    await persister.start()
    await eventually("the others are stored", lambda: holds(history, {group: said}))
    letters = await dead_letters_of({record.key for _, record, _ in poison}, len(poison))
    for place, (record, reason) in offsets.items():
        letter = letters[place]
        assert reason in letter.reason, letter
        assert letter.consumer == "persister"
        assert record.key == b64decode(letter.key_base64 or "")
        assert record.value == (b64decode(letter.value_base64) if letter.value_base64 is not None else None)

    async def all_counted() -> bool:
        return await persister.metric("chat_dead_letters_total", topic=topics.MESSAGES) >= 7

    await eventually("they are counted", all_counted)
    assert await persister.metric("chat_bad_records_total", topic=topics.MEMBERSHIPS) >= 2

    async def progress_passed() -> bool:
        return await history.next_of(partition_with(group)) > seq

    await eventually("progress passes them", progress_passed)
    assert await persister.stop() == 0


async def test_a_document_that_the_store_refuses_is_set_aside_and_the_rest_is_stored(
    log: Log, history: History, new_persister: NewPersister
) -> None:
    group, refused = new_group(), "up000000666"
    rule = {"up": {"$ne": refused}}
    await history.store._database.create_collection(documents.MESSAGES, validator=rule)
    said = {}
    offsets = []
    for _ in range(3):
        seq, message_id = await say(log, group)
        said[seq] = message_id
        offsets.append(await log.write(topics.MESSAGES, a_message(group, up=refused)))
    seq, message_id = await say(log, group)
    said[seq] = message_id
    await new_persister().start()
    await eventually("the others are stored", lambda: holds(history, {group: said}))
    letters = await dead_letters_of({group.encode()}, len(offsets))
    assert {offset for _, _, offset in letters} == set(offsets)
    assert all("refused by the store" in letter.reason for letter in letters.values())


async def test_a_huge_record_is_cut_and_set_aside(
    log: Log, history: History, new_persister: NewPersister
) -> None:
    group = new_group()
    offset = await log.write(topics.MESSAGES, Encoded(group.encode(), b"x" * 1_000_000, []))
    seq, message_id = await say(log, group)
    await new_persister().start()
    await eventually("the next is stored", lambda: holds(history, {group: {seq: message_id}}))
    letters = await dead_letters_of({group.encode()}, 1)
    assert "1000000 bytes" in letters[topics.MESSAGES, group.encode(), offset].reason


async def test_no_letter_is_sent_again_by_another_number_of_partitions(log: Log) -> None:
    partitions = str(KafkaSettings().kafka_partitions + 1)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "persister.letters", "resend", "chat.messages/3/17"],
        env={**os.environ, "KAFKA_PARTITIONS": partitions},
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert f"partitions, not {partitions}" in done.stderr
