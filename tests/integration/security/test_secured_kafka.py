"""The whole system on a broker that wants a certificate and a password, with the documented rights only."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Final

import pytest

from deploy.demo.local_system import LocalSystem
from deploy.demo.university import Student
from deploy.local.backing import without_given
from deploy.local.kafka_native import missing_for_native_kafka
from deploy.repository import REPOSITORY
from loadtest.chat_client import ChatClient
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from runtime.kafka import started_producer
from runtime.kafka_topics import ensure_topics
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.client_events import ChatMessage
from schemas.ids import new_id
from schemas.log_records import Encoded
from tests.integration.backing import Log, new_up, open_admin
from tests.integration.demo.system import Campus, open_campus
from tests.integration.security.secured_broker import (
    KEY_PASSWORD,
    Allowed,
    SecuredBroker,
    allow,
    secured_broker,
)
from tests.waiting import eventually

PAGE: Final = REPOSITORY / "docs" / "operating" / "secure.md"

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(600)]


def documented() -> list[Allowed]:
    """Return the rights that the page lists."""
    rows = re.findall(r"^\| `([\w.]+)` \| ([a-z ]+) \| (.+) \| ([\w, ]+) \|$", PAGE.read_text(), re.MULTILINE)
    return [
        Allowed(user, kind, name, operations.split(", "))
        for user, kind, names, operations in rows
        for name in re.findall(r"`(.+?)`", names)
    ]


def access(broker: SecuredBroker, user: str, password: str) -> dict[str, str]:
    """Return the variables of one of them."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.address,
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_USERNAME": user,
        "KAFKA_PASSWORD": password,
        "KAFKA_CA_FILE": str(broker.authority.file),
        "KAFKA_CERT_FILE": str(broker.authority.sign(user, password=KEY_PASSWORD)),
        "KAFKA_KEY_PASSWORD": KEY_PASSWORD,
    }


@pytest.fixture
def passwords() -> dict[str, str]:
    return {one.user: token_hex(8) for one in documented()}


@pytest.fixture
def broker(tmp_path: Path, passwords: Mapping[str, str]) -> Iterator[SecuredBroker]:
    if missing := missing_for_native_kafka():
        pytest.skip(missing)
    with secured_broker(tmp_path, passwords) as running:
        yield running


async def test_the_documented_rights_suffice(
    broker: SecuredBroker, passwords: Mapping[str, str], tmp_path: Path
) -> None:
    told = {user: access(broker, user, password) for user, password in passwords.items()}
    administrator = KafkaSettings(kafka_bootstrap_servers=broker.broker.address)
    await ensure_topics(administrator, topics.ALL)
    async with open_admin(broker.broker.address) as admin:
        await allow(admin, documented())
    environ = {**without_given(os.environ), "KAFKA_BOOTSTRAP_SERVERS": broker.address}
    data_dir, log_dir = tmp_path / "data", tmp_path / "logs"
    with LocalSystem(
        data_dir=data_dir, log_dir=log_dir, environ=environ, usual_ports=False, edges=1, env=told
    ) as system:
        async with started_producer(administrator) as producer, open_campus(system) as campus:
            await chat(campus)
            group = await campus.group(new_up())
            await Log(administrator, producer).write(topics.MESSAGES, Encoded(group.encode(), b"{", []))
            letters = partial(command, system, told, "persister.letters")
            await eventually("it is set aside", lambda: letters("list")[1:])
        (name, *_) = letters("list")[0].split()
        assert "was sent again" in letters("resend", name)[-1]
        assert "messages erased: 0" in command(system, told, "persister.erase", "student", new_up())
        assert "Now start all services" in command(system, told, "persister.grow", "16")[-1]
    said = "".join(file.read_text() for file in system.log_dir.rglob("*.log"))
    assert "started" in said
    assert not [secret for secret in (*passwords.values(), KEY_PASSWORD) if secret in said]
    assert "AuthorizationFailed" not in said


async def chat(campus: Campus) -> None:
    """Let two students chat, live and by the gateway, and read what was stored."""
    ups = new_up(), new_up()
    group = await campus.group(*ups)
    seen, heard = SeenFrames(), list[ChatMessage]()
    clients = [
        ChatClient(up, campus.system.mint_token(up), locate=campus.api.locate, seen=seen) for up in ups
    ]
    clients[0].shows_online = True
    clients[1].on_chat = heard.append
    async with Students(clients) as students:
        await students.connect()
        clients[0].post(group, "by an edge", message_id=new_id(), sent_at=0)
        message = {"group": group, "from": ups[0], "message": "by the gateway"}
        headers = {"Authorization": f"Bearer {campus.system.service_token}"}
        async with campus.session.post(
            f"{campus.system.internal_url}/message/", json=message, headers=headers
        ) as answer:
            assert answer.status in (201, 202), await answer.text()
        await campus.internal.set_names(Student(ups[0], f"name-{ups[0]}", "A Name"))
        await eventually("both are heard", lambda: len(heard) == 2)

    async def stored() -> bool:
        return len((await campus.api.page(group, clients[0].token, after=-1)).messages) == 2

    await eventually("both are stored", stored)


def command(system: LocalSystem, told: Mapping[str, Mapping[str, str]], module: str, *args: str) -> list[str]:
    """Call an operators' command, as its own user; return its lines without the library's."""
    done = subprocess.run(
        [sys.executable, "-m", module, *args],
        env={**system.services["persister"].env, **told[module]},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if not line.startswith(("warning:", "error:"))]
