"""Poison records straight into the topics: dead letters with reasons, and the partitions go on."""

import asyncio
import random
import subprocess
import sys
from base64 import b64encode
from collections.abc import Awaitable, Callable

import pytest

from deploy.repository import REPOSITORY
from runtime.kafka import started_producer, write
from runtime.mongo import open_store
from runtime.settings import KafkaSettings
from schemas import documents, topics
from schemas.ids import new_id
from schemas.log_records import DeadLetter, Encoded, MessageSent, encode, headers_of
from tests.faults.crowd import Crowd, mongo_settings, open_crowd
from tests.faults.history import Said
from tests.faults.outcomes import Outcome
from tests.faults.stage import Stage
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(600)]

Write = Callable[[str, Encoded], Awaitable[str]]


def message(group: str, up: str, text: str = "hi") -> tuple[MessageSent, Encoded]:
    sent = MessageSent(id=new_id(), group=group, up=up, message=text, sent_at=7)
    return sent, encode(sent, key=group, source="test")


def poison_of(group: str, up: str) -> dict[str, tuple[Encoded, str]]:
    """Return poison for a group's partition, and what its reason must say."""
    good = message(group, up)[1]
    key = group.encode()
    other = ("ce_type", b"pt.uni4all.chat.message.sent.v9")
    version = [other if name == "ce_type" else (name, value) for name, value in good.headers]
    return {
        "bad JSON": (Encoded(key, b'{"id": "x"', good.headers), "value"),
        "unknown version": (Encoded(key, good.value, version), "type is"),
        "two types": (Encoded(key, good.value, [other, *good.headers]), "type is"),
        "two ids": (Encoded(key, good.value, [("ce_id", b"x/y"), *good.headers]), "ce_id does not name"),
        "wrong key": (Encoded(key + b"x", good.value, good.headers), "the key is not"),
        "20 KB of text": (message(group, up, "é" * 10_000)[1], "larger than"),
        "900 KB": (Encoded(key, b"x" * 900_000, good.headers), "(cut here:"),
        "a type without a value": (
            Encoded(key, good.value, [("ce_type", None), *good.headers]),
            "no ce_type",
        ),
        "an id without a value": (
            Encoded(key, good.value, [("ce_id", None), *good.headers]),
            "ce_id does not name",
        ),
        "no headers": (Encoded(key, good.value, []), "no ce_type header"),
        "tombstone": (Encoded(key, None, good.headers), "no value"),
    }


def b64(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()


def letters(stage: Stage, *arguments: str, **env: str) -> tuple[int, str]:
    """Run the operators' command."""
    done = subprocess.run(
        [sys.executable, "-m", "persister.letters", *arguments],
        env={"KAFKA_BOOTSTRAP_SERVERS": stage.broker.address, **env},
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


async def until_listed(stage: Stage, names: set[str]) -> dict[str, str]:
    """Wait until these dead letters are listed; return their lines by their names."""
    lines: dict[str, str] = {}

    async def listed() -> bool:
        _, said = await asyncio.to_thread(letters, stage, "list")
        lines.update({line.split("  ")[0]: line for line in said.splitlines() if "  " in line})
        return names <= lines.keys()

    await eventually("the dead letters are listed", listed)
    return lines


async def until_stored(stage: Stage, message_id: str) -> None:
    """Wait until a message is in the store."""
    async with open_store(mongo_settings(stage.system)) as store:

        async def stored() -> bool:
            return bool(await store.find(documents.MESSAGES, {"id": message_id}))

        await eventually("it is stored", stored)


async def poison_all(crowd: Crowd, rng: random.Random, write_to: Write) -> dict[str, str]:
    """Put each kind of poison between a crowd's messages; return the reasons by the letters' names."""
    reasons = {}
    for group in rng.sample(crowd.groups, 3):
        for record, reason in poison_of(group.id, group.members[0]).values():
            crowd.say(group, "before")
            reasons[await write_to(topics.MESSAGES, record)] = reason
            crowd.say(group, "after")
    return reasons


async def test_poison_is_set_aside_and_can_be_sent_again(stage: Stage, seed: int, outcome: Outcome) -> None:
    """poison: bad JSON, unknown version, two types or ids, ones without a value, wrong key, 20 and 900 KB,
    no headers, tombstone"""
    rng = random.Random(seed)
    settings = KafkaSettings(kafka_bootstrap_servers=stage.broker.address)
    async with open_crowd(stage.system, seed) as crowd, started_producer(settings) as producer:

        async def write_to(topic: str, record: Encoded) -> str:
            written = await (await write(producer, topic, record, settings.kafka_partitions))
            return f"{topic}/{written.partition}/{written.offset}"

        async with crowd.chatting():
            reasons = await poison_all(crowd, rng, write_to)
            outcome.counts["poison records"] = len(reasons)
            outcome.recovered_s.append(await crowd.probe())
            lines = await until_listed(stage, set(reasons))
            assert all(reason in lines[name] for name, reason in reasons.items()), lines
            await write_and_resend(stage, crowd, write_to, next(iter(reasons)))
        outcome.checked = await crowd.judge()


async def write_and_resend(stage: Stage, crowd: Crowd, write_to: Write, poison: str) -> None:
    """A letter whose cause is gone becomes a message; one that is still poison becomes another letter."""
    group = crowd.groups[0]
    sent, record = message(group.id, group.members[0], "late")
    letter = DeadLetter(
        topic=topics.MESSAGES,
        partition=0,
        offset=2**40,
        reason="an earlier version could not read it",
        consumer="test",
        key_base64=b64(record.key),
        value_base64=b64(record.value),
        headers=[(name, (value or b"").decode()) for name, value in record.headers],
    )
    name = f"{topics.MESSAGES}/0/{2**40}"
    headers = headers_of(DeadLetter.ce_type, source="test", ce_id=name)
    await write_to(topics.DEAD_LETTERS, Encoded(record.key, letter.value(), headers))
    crowd.recorder.said_elsewhere.append(Said(sent.up, group.id, sent.id, sent.message, sent.sent_at))
    code, said = await asyncio.to_thread(letters, stage, "resend", name, KAFKA_PARTITIONS="64")
    assert (code, said) == (1, "")
    code, said = await asyncio.to_thread(letters, stage, "resend", name, poison)
    assert code == 0, said
    again = [line.rsplit(" ", 1)[1] for line in said.splitlines()]
    await until_stored(stage, sent.id)
    await until_listed(stage, {again[1]})
    code, said = await asyncio.to_thread(letters, stage, "resend", "chat.messages/0/0/0")
    assert (code, said) == (1, "chat.messages/0/0/0 is no dead letter\n")
