"""What really stands on the topics and comes over sockets is what the AsyncAPI document says."""

import asyncio
import json
from collections import defaultdict
from typing import Any

import jsonschema
import pytest
import socketio

from loadtest.rest import RestApi
from schemas import client_events, topics
from schemas.log_records import PresenceChanged, ProfileChanged
from tests.integration.backing import new_up
from tests.integration.demo.system import Campus, records_of
from tests.waiting import DEADLINE_S, eventually

pytestmark = [pytest.mark.backing, pytest.mark.timeout(240)]

NOW_MS = 1_700_000_000_000


class Described:
    """The document that the internal API serves, and whether something is as it says."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._schemas = {"components": document["components"]}

    def check(self, message: str, value: Any, headers: dict[str, str] | None = None) -> None:
        """Raise ValidationError where a message is not as described."""
        described = self.document["components"]["messages"][message]
        self._validator(described["payload"]).validate(value)
        if headers is not None:
            self._validator(described["headers"]).validate(headers)

    def _validator(self, schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
        return jsonschema.Draft202012Validator({**schema, **self._schemas})


@pytest.fixture
async def described(campus: Campus) -> Described:
    """The document of the running gateway, which the public API serves as a page, too."""
    async with campus.session.get(f"{campus.system.public_url}/asyncapi") as page:
        assert page.status == 200
        assert "chat message" in await page.text()
    async with campus.session.get(f"{campus.system.internal_url}/asyncapi.json") as answer:
        return Described(await answer.json())


def keys(described: Described, channel: str) -> dict[str, str]:
    """Return the messages of a channel as keys of the components, by their name."""
    messages = described.document["channels"][channel]["messages"].values()
    found = (message["$ref"].rsplit("/", 1)[1] for message in messages)
    return {described.document["components"]["messages"][key]["name"]: key for key in found}


async def test_events_and_acks_of_a_real_edge_are_as_described(campus: Campus, described: Described) -> None:
    up = new_up()
    group = await campus.group(up)
    heard: list[tuple[str, Any]] = []
    client = socketio.AsyncClient(reconnection=False)
    client.on("*", lambda event, payload: heard.append((event, payload)))
    auth = {"token": campus.system.mint_token(up)}
    await client.connect(await campus.locate(up), auth=auth, wait_timeout=DEADLINE_S)
    try:
        await eventually("joined", lambda: any(event == client_events.JOINED for event, _ in heard))
        said = {"up": up, "room": group, "message": "olá", "timestamp": NOW_MS}
        acks = {
            "online": await client.call("online", {"up": up}),
            "joinRoom": await client.call("join room", {"up": up, "room": group, "since": -1}),
            "chatMessage": await client.call("chat message", said),
            "leaveRoom": await client.call("leave room", {"up": up, "room": group}),
            "refused": await client.call("chat message", {**said, "room": "not-mine"}),
        }
        await eventually("the message", lambda: any(event == "chat message" for event, _ in heard))
    finally:
        await client.disconnect()
    assert acks.keys() == described.document["channels"]["acks"]["messages"].keys()
    for name, ack in acks.items():
        described.check(f"ack.{name}", ack)
    with pytest.raises(jsonschema.ValidationError):
        described.check("ack.chatMessage", acks["refused"])
    from_edge = keys(described, "fromEdges")
    for event, payload in heard:
        described.check(from_edge[event], payload)


async def test_records_of_a_real_log_are_as_described(campus: Campus, described: Described) -> None:
    up = new_up()
    group = await campus.group(up)
    internal, token = RestApi(campus.session, campus.system.internal_url), campus.system.service_token
    await internal.post(f"/user/{up}", token, {"username": "olá", "name": "Olá", "online": True})
    await internal.post("/message/", token, {"group": group, "from": up, "message": "olá"})
    seen: defaultdict[str, set[str]] = defaultdict(set)
    async with asyncio.timeout(60):
        records = await records_of(campus.system, *topics.ALL)
    for record in records:
        headers = {name: value.decode() for name, value in record.headers}
        seen[record.topic].add(headers["ce_type"])
        assert headers["ce_type"] in keys(described, record.topic).values()
        if record.value is not None and not record.value.startswith(b"\x1f\x8b"):
            described.check(headers["ce_type"], json.loads(record.value), headers)
    assert set(topics.ALL) - set(seen) <= {topics.DEAD_LETTERS}
    assert {ProfileChanged.ce_type, PresenceChanged.ce_type} <= seen[topics.USERS]
