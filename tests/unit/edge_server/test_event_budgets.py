"""What a client sends counts by its size, and who is told to wait is told for how long."""

import asyncio
import re

import pytest
from aiohttp import WSMsgType

from runtime import metrics
from tests.counting import counting
from tests.unit.edge_server.gated_edge import an_edge, is_closed


@pytest.mark.parametrize(
    ("kib", "codes"), [(100, ["answered", "rate_limited"]), (129, ["too_large", "too_large"])]
)
async def test_a_long_event_counts_once_more_for_each_kib_unless_nobody_parses_it(
    kib: int, codes: list[str]
) -> None:
    async with an_edge(events_per_s_per_client=0.001, events_burst_per_client=130) as edge:
        socket = await edge.websocket()
        answers = []
        for _ in codes:
            await socket.send_str('421["any","' + "x" * 1_024 * kib + '"]')
            answers.append(await socket.receive_str())
    assert [code in answer for code, answer in zip(codes, answers, strict=True)] == [True, True]


async def test_who_sends_too_many_events_is_told_how_long_the_debt_takes() -> None:
    async with an_edge(events_per_s_per_client=0.001, events_burst_per_client=4) as edge:
        socket = await edge.websocket()
        answers = []
        for _ in range(6):
            await socket.send_str('421["any"]')
            answers.append(await socket.receive_str())
    waits = [int(found[1]) for answer in answers if (found := re.search('"retry_after":([0-9]+)', answer))]
    assert [round(wait_s, -2) for wait_s in waits] == [2_000, 3_000, 4_000]


async def test_who_may_not_send_a_long_event_is_told_when_that_fits() -> None:
    async with an_edge(events_per_s_per_client=0.001, events_burst_per_client=20) as edge:
        socket = await edge.websocket()
        answers = []
        for _ in range(2):
            await socket.send_str('421["any","' + "x" * 1_024 * 16 + '"]')
            answers.append(await socket.receive_str())
    found = re.search('"retry_after":([0-9]+)', answers[-1])
    # Of 20 there are 2 (the hello counts, too), the refusal takes 2, and 17 are wanted.
    assert found is not None
    assert round(int(found[1]), -3) == 17_000


async def test_an_event_longer_than_the_burst_passes_alone() -> None:
    async with an_edge(events_per_s_per_client=1_000.0, events_burst_per_client=20) as edge:
        socket = await edge.websocket()
        for _ in range(3):
            await asyncio.sleep(0.1)
            await socket.send_str('421["any","' + "x" * 1_024 * 96 + '"]')
            assert "answered" in await socket.receive_str()


@pytest.mark.parametrize(("chars", "answer"), [(32_763, "answered"), (32_765, "too_large")])
async def test_an_event_is_as_large_as_its_bytes(chars: int, answer: str) -> None:
    async with an_edge(max_event_bytes=98_304) as edge:
        socket = await edge.websocket()
        text = '421["any","' + "€" * chars + '"]'
        assert (len(text.encode()) > 98_304) is (answer == "too_large")
        await socket.send_str(text)
        assert answer in await socket.receive_str()


@pytest.mark.parametrize("frame", ["4" + 200_000 * "x", b"x" * 200_000])
async def test_who_goes_on_sending_what_is_refused_unread_is_closed(frame: str | bytes) -> None:
    """It counts by its size, or such frames came as fast as the network brings them."""
    hits = counting(metrics.LIMIT_HITS.labels(limit="events"))
    async with an_edge(events_per_s_per_client=0.001, events_burst_per_client=1_000) as edge:
        socket = await (await edge.poller()).upgraded()
        answers = 0
        while True:
            await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))
            if (await socket.receive()).type is not WSMsgType.TEXT:
                break
            answers += 1
        # Of 1000 one is spent, and each counts 100 of the 1999 until the debt is as large.
        assert answers == 19
    assert hits() == 1


@pytest.mark.parametrize("upgraded", [False, True])
@pytest.mark.parametrize("kind", ["packets", "pings"])
async def test_frames_that_are_no_events_are_counted_too(kind: str, upgraded: bool) -> None:
    hits = counting(metrics.LIMIT_HITS.labels(limit="frames"))
    async with an_edge(events_per_s_per_client=0.001, events_burst_per_client=20) as edge:
        socket = await ((await edge.poller()).upgraded() if upgraded else edge.websocket())
        for _ in range(60):
            await (socket.ping() if kind == "pings" else socket.send_str("6"))
        await is_closed(socket)
        await edge.is_empty()
    assert hits() > 0
