"""The topic of messages is deleted and created again: nobody takes the new log for the old one."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from deploy.demo.service_process import ServiceProcess
from deploy.local.processes import wait_until
from loadtest.rest import RestApi
from runtime.kafka_topics import ensure_topics
from runtime.settings import KafkaSettings
from schemas import topics
from tests.faults.crowd import Crowd, open_crowd
from tests.faults.outcomes import Outcome
from tests.faults.stage import Stage, open_stage, require_native
from tests.integration.backing import open_admin
from tests.waiting import eventually

pytestmark = [
    pytest.mark.backing,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("long_only"),
]

TOLD_WITHIN_S: Final = 180.0
"""Clients whose cursors may only be ahead are told after a minute."""


@pytest.fixture
def own_stage(tmp_path: Path) -> Iterator[Stage]:
    """A system of this test's own: it cannot be put right."""
    require_native()
    with open_stage(tmp_path) as opened:
        yield opened


async def create_messages_anew(stage: Stage) -> None:
    """Delete the topic of messages and create it again."""
    settings = KafkaSettings(kafka_bootstrap_servers=stage.broker.address)
    async with open_admin(stage.broker.address) as admin:
        await admin.delete_topics([topics.MESSAGES])
    await ensure_topics(settings, [topics.MESSAGES])


def require_refusal(service: ServiceProcess) -> None:
    """Wait until a service has ended by itself and said why."""
    wait_until(lambda: not service.alive, 90.0, f"{service.name} has ended")
    assert service.returncode == 1, service.name
    assert "it is another log" in "\n".join(service.last_log_lines(100)), service.name


async def history(stage: Stage, crowd: Crowd) -> list[str]:
    """Return the texts of everybody's group, as REST has them."""
    everybody = crowd.groups[-1]
    async with aiohttp.ClientSession() as session:
        api = RestApi(session, stage.system.public_url)
        token = stage.system.mint_token(everybody.members[0])
        messages = await api.history(everybody.id, token, after=-1)
    return [message.message for message in messages]


async def test_a_log_that_was_created_anew_is_refused_and_clients_of_the_old_one_are_told(
    own_stage: Stage, seed: int, outcome: Outcome
) -> None:
    """the log deleted and created again"""
    stage, services = own_stage, own_stage.system.services
    async with open_crowd(stage.system, seed) as crowd:
        everybody = crowd.groups[-1]
        async with crowd.chatting():
            await crowd.probe()
        await crowd.settle()
        await create_messages_anew(stage)
        for service in (*stage.system.edges, services["persister"]):
            await asyncio.to_thread(require_refusal, service)
        assert "last" in await history(stage, crowd)
        await begin_anew(stage)
        for student in crowd.by_up.values():
            holes = len(student.cursors)
            told = partial(lambda one, holes: len(one.holes) >= holes, student, holes)
            await eventually("it is told of the hole in each room", told, TOLD_WITHIN_S)
        outcome.counts["holes told of"] = sum(len(student.holes) for student in crowd.by_up.values())
        message_id = crowd.say(everybody, "in the new log")
        await eventually("it came to all", partial(crowd.has_reached_all, message_id, everybody))
        outcome.checked = "services refused and said why; history was there; all clients were told"


async def begin_anew(stage: Stage) -> None:
    """Do what docs/operating/recover.md says: begin with another database."""
    services = stage.system.services
    for name in ("persister", "api_gateway"):
        services[name].env["MONGODB_DATABASE"] = "begun-anew"
    await asyncio.to_thread(services["api_gateway"].stop)
    for name in ("persister", "api_gateway", *stage.system.edge_urls):
        services[name].launch()
    for name in ("persister", "api_gateway", *stage.system.edge_urls):
        await asyncio.to_thread(services[name].wait_ready)
