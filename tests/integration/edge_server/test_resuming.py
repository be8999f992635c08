"""Who comes back with a cursor gets exactly what it missed, or is told of a hole."""

import pytest

from edge_server import another_log
from runtime import log_reader
from tests.integration.backing import Log, new_group, new_up
from tests.integration.edge_server.edges import ChatClient, edge, ready
from tests.waiting import eventually


async def test_a_client_that_reconnects_with_since_gets_exactly_what_it_missed(log: Log) -> None:
    group = new_group()
    async with edge() as one, edge() as two:
        speaker = await ready(log, group, ChatClient(new_up()), one)
        listener = await ready(log, group, ChatClient(new_up()), one)
        witness = await ready(log, group, ChatClient(new_up()), two)
        await speaker.say(group, "seen")
        await listener.got("seen")
        await listener.disconnect()
        acks = [await speaker.say(group, text) for text in ("a", "b", "c")]
        await witness.heard("c")
        again = ChatClient(listener.up)
        await again.connect(two, since={group: listener.messages[-1]["seq"]})
        await again.got("a", "b", "c")
        assert again.joined[group] == {"head": acks[-1]["seq"], "recovered": True, "missed": 3}
        await speaker.say(group, "live")
        await again.got("a", "b", "c", "live")


async def test_a_client_whose_membership_comes_late_to_its_new_edge_misses_nothing(log: Log) -> None:
    group, late = new_group(), new_up()
    async with edge() as one:
        speaker = await ready(log, group, ChatClient(new_up()), one)
        first = await speaker.say(group, "seen")
        for text in ("a", "b"):
            await speaker.say(group, text)
        resuming = await ChatClient(late).connect(one, since={group: first["seq"]})
        await log.join(group, late)
        await resuming.got("a", "b")
        assert (resuming.joined[group]["recovered"], resuming.joined[group]["missed"]) == (True, 2)


async def test_a_cursor_of_another_log_is_told_that_there_is_a_hole(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(another_log, "CHECK_EVERY_S", 0.05)
    monkeypatch.setattr(log_reader, "PROGRESS_CHECK_S", 1.0)
    group = new_group()
    async with edge() as one:
        speaker = await ready(log, group, ChatClient(new_up()), one)
        head = (await speaker.say(group, "newest"))["seq"]
        lost = ChatClient(speaker.up)
        await lost.connect(one, since={group: head + 50})
        await eventually("it is told", lambda: not lost.joined.get(group, {"recovered": True})["recovered"])
        await speaker.say(group, "live")
        await lost.got("live")


async def test_a_cursor_that_the_window_no_longer_reaches_is_told_that_there_is_a_hole(log: Log) -> None:
    group = new_group()
    async with edge(window_records=5) as one:
        speaker = await ready(log, group, ChatClient(new_up()), one)
        first = await speaker.say(group, "0")
        for n in range(1, 10):
            await speaker.say(group, str(n))
        hole = await speaker.call("join room", {"up": speaker.up, "room": group, "since": first["seq"]})
        assert (hole["recovered"], hole["missed"]) == (False, 0)
        near = await speaker.call("join room", {"up": speaker.up, "room": group, "since": hole["head"] - 2})
        assert (near["recovered"], near["missed"]) == (True, 2)


@pytest.mark.parametrize("ahead", [1, 7])
async def test_a_cursor_ahead_of_this_edge_gets_only_what_is_newer(log: Log, ahead: int) -> None:
    group = new_group()
    async with edge() as one:
        speaker = await ready(log, group, ChatClient(new_up()), one, transports=["websocket"])
        head = (await speaker.say(group, "first"))["seq"]
        listener = ChatClient(new_up())
        await log.join(group, listener.up)
        await listener.connect(one, since={group: head + ahead})
        await eventually("joined", lambda: group in listener.joined)
        for n in range(1, ahead + 3):
            await speaker.say(group, str(n))
        await listener.got(str(ahead + 1), str(ahead + 2))
