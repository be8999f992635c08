"""A gateway that alone loses its way to Kafka lets nobody read by what it knew; without Kafka all go on."""

import asyncio

import aiohttp
import pytest

from api_gateway.fallen_behind import BEHIND_AFTER_S
from loadtest.rest import RestApi
from runtime.kafka import started_producer, write
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.ids import membership_key, new_id
from schemas.log_records import MemberJoined, tombstone
from tests.faults.outcomes import Outcome
from tests.faults.stage import Stage
from tests.faults.tcp_proxy import FROZEN, GOOD
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(600)]

OWNER, MEMBER = "up209000001", "up209000002"


class Reader:
    """A member of a group, by REST."""

    def __init__(self, stage: Stage, session: aiohttp.ClientSession, group: str) -> None:
        self._url = f"{stage.system.public_url}/chat/{group}/message"
        self._headers = {"Authorization": f"Bearer {stage.system.mint_token(MEMBER)}"}
        self._session = session

    async def status(self) -> int:
        """Return how a read is answered."""
        async with self._session.get(self._url, headers=self._headers) as answered:
            return answered.status


async def remove(stage: Stage, group: str) -> None:
    """Remove the member, as another gateway does."""
    settings = KafkaSettings(kafka_bootstrap_servers=stage.broker.address)
    async with started_producer(settings) as producer:
        gone = tombstone(key=membership_key(group, MEMBER), source="test", kind=MemberJoined)
        await (await write(producer, topics.MEMBERSHIPS, gone, settings.kafka_partitions))


@pytest.mark.usefixtures("long_only")
async def test_a_gateway_that_is_cut_off_alone_lets_no_removed_member_read(
    stage: Stage, outcome: Outcome
) -> None:
    """a gateway cut off from the broker, alone: who was removed meanwhile reads nothing there"""
    gateway, group = stage.system.services["api_gateway"], f"cut-off-{new_id()}"
    with stage.told([gateway], {"KAFKA_BOOTSTRAP_SERVERS": stage.to_broker.address}):
        async with aiohttp.ClientSession() as session:
            api = RestApi(session, stage.system.public_url)
            await api.create_group(group, [MEMBER], stage.system.mint_token(OWNER))
            reader = Reader(stage, session, group)
            assert await reader.status() == 200
            stage.to_broker.network = FROZEN
            await remove(stage, group)
            await eventually("it is refused", lambda: _is(reader, 503))
            assert not await asyncio.to_thread(gateway.is_ready)
            stage.to_broker.network = GOOD
            await eventually("it is known that they are no member", lambda: _is(reader, 403))
            await eventually("it may be given work", lambda: asyncio.to_thread(gateway.is_ready))
    outcome.counts["gateway cut off"] += 1
    outcome.checked = "who was removed was refused, and the gateway took no work meanwhile"


@pytest.mark.usefixtures("long_only")
async def test_while_kafka_is_away_for_all_members_go_on_reading(stage: Stage, outcome: Outcome) -> None:
    """all of Kafka frozen: gateways stay ready, and history goes on"""
    gateway, group = stage.system.services["api_gateway"], f"frozen-{new_id()}"
    async with aiohttp.ClientSession() as session:
        api = RestApi(session, stage.system.public_url)
        await api.create_group(group, [MEMBER], stage.system.mint_token(OWNER))
        reader = Reader(stage, session, group)
        stage.broker.freeze()
        for _ in range(int(3 * BEHIND_AFTER_S)):
            await asyncio.sleep(1)
            assert await reader.status() == 200
            assert await asyncio.to_thread(gateway.is_ready)
    outcome.counts["Kafka frozen"] += 1
    outcome.checked = "a member read every second, and the gateway stayed ready"


async def _is(reader: Reader, status: int) -> bool:
    return await reader.status() == status
