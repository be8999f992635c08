"""The real broker and store of the integration tests, started once a run, and what tests do with them."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import jwt
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.backing import RunningBacking, backing_services
from deploy.local.service import BackingService
from runtime.kafka import started_producer, write
from runtime.kafka_topics import ensure_topics
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.ids import membership_key
from schemas.log_records import Encoded, MemberJoined, encode, tombstone

TOKEN_SECRET = "only-for-tests-0123456789abcdef-0123456789"


@contextmanager
def running_backing(folder: Path) -> Iterator[RunningBacking]:
    """Run the backing services; this process's environment points to them, as a service's would."""
    with backing_services(folder) as running:
        before = dict(os.environ)
        os.environ.update(running.env(), TOKEN_SECRET=TOKEN_SECRET, LOG_DIR="", LOG_STDOUT="none")
        os.environ.update(OPS_PORT="0", EDGE_PORT="0")
        try:
            yield running
        finally:
            os.environ.clear()
            os.environ.update(before)


def token(up: str, *, expires_in_s: float = 3600, secret: str = TOKEN_SECRET) -> str:
    """Return a token of ``up``."""
    return jwt.encode({"sub": up, "exp": time.time() + expires_in_s}, secret, "HS256")


def new_group() -> str:
    """Return a group that no other test has."""
    return f"g{uuid4().hex[:12]}"


def new_up() -> str:
    """Return a UP number that no other test is likely to have."""
    return f"up{uuid4().int % 10**9:09d}"


@asynccontextmanager
async def away(service: BackingService, how: str) -> AsyncIterator[None]:
    """Let a broker or a store be ``stopped``, ``killed`` or ``frozen`` for the length of the block."""
    leave = {"stopped": service.stop, "killed": service.kill, "frozen": service.freeze}[how]
    come_back = service.thaw if how == "frozen" else service.start
    await asyncio.to_thread(leave)
    try:
        yield
    finally:
        await asyncio.to_thread(come_back)


class Log:
    """Writes records as another service would."""

    def __init__(self, settings: KafkaSettings, producer: object) -> None:
        self._settings = settings
        self._producer = producer

    async def write(self, topic: str, record: Encoded) -> int:
        """Write one record and return its offset."""
        partitions = topics.ALL[topic].partitions(self._settings.kafka_partitions)
        written = await write(self._producer, self._settings.topic(topic), record, partitions)
        return int((await written).offset)

    async def join(self, group: str, *ups: str) -> None:
        """Make users members of a group."""
        for up in ups:
            record = encode(MemberJoined(group=group, up=up), key=membership_key(group, up), source="test")
            await self.write(topics.MEMBERSHIPS, record)

    async def leave(self, group: str, up: str) -> int:
        """End a membership, and return the record's offset."""
        key = membership_key(group, up)
        return await self.write(topics.MEMBERSHIPS, tombstone(key=key, source="test", kind=MemberJoined))


@asynccontextmanager
async def open_admin(servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect to Kafka as an administrator for the length of the block."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def open_log() -> AsyncIterator[Log]:
    """Open the log for writing, before any service has created its topics."""
    settings = KafkaSettings()
    await ensure_topics(settings, topics.ALL)
    async with started_producer(settings) as producer:
        yield Log(settings, producer)
