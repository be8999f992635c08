"""One message can be followed through the logs of all services by its id; otherwise it leaves no line."""

import logging

import pytest

from schemas.documents import message_key
from tests.integration.backing import Log, new_group, new_up
from tests.integration.edge_server.edges import ChatClient, edge
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.timeout(240)]


def lines_about(caplog: pytest.LogCaptureFixture, message: str) -> list[str]:
    """Return what was logged about a message."""
    return [
        record.getMessage()
        for record in caplog.records
        if getattr(record, "facts", {}).get("message") == message
    ]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO], ids=["debug", "info"])
async def test_a_message_is_followed_from_its_sender_s_edge_to_its_members_edges(
    log: Log, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level)
    group, speaker, listener = new_group(), ChatClient(new_up()), ChatClient(new_up())
    await log.join(group, speaker.up, listener.up)
    async with edge() as one, edge() as two:
        await speaker.connect(one)
        await listener.connect(two)
        await eventually("both are in", lambda: group in speaker.joined and group in listener.joined)
        ack = await speaker.say(group, "olá")
        await listener.got("olá")
        await speaker.got("olá")  # their own edge reads it by itself, and may be later
    said = lines_about(caplog, message_key(group, speaker.up, ack["id"]))
    assert sorted(said) == (
        ["a message is delivered", "a message is delivered", "a message is in the log"]
        if level == logging.DEBUG
        else []
    )
