"""One message's spans, of all the real processes that it goes through, are one trace at a collector."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.demo.local_system import LocalSystem
from loadtest.chat_client import ChatClient
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from schemas.ids import new_id
from schemas.up_number import CIRCLE, up_at
from tests.integration.demo.system import Campus, open_campus, running_system
from tests.integration.operations.collector import Collector, SeenSpan, running_collector
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(240)]

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
SEND, PROCESS = "send chat.messages", "process chat.messages"
OF_THE_PERSISTER = "messaging.consumer.group.name"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced_system(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    env = dict.fromkeys(("edge_server", "persister", "api_gateway"), traced)
    with running_system(tmp_path_factory.mktemp("traced"), env=env) as system:
        yield system


@pytest.fixture
async def campus(traced_system: LocalSystem) -> AsyncIterator[Campus]:
    async with open_campus(traced_system) as opened:
        yield opened


async def two_on_two_edges(campus: Campus) -> tuple[str, str]:
    """Return students whose edges differ."""
    ups = [up_at(n * CIRCLE // 8) for n in range(8)]
    urls = {up: await campus.locate(up) for up in ups}
    return ups[0], next(up for up in ups if urls[up] != urls[ups[0]])


def way_of(collector: Collector, message_id: str) -> tuple[list[SeenSpan], list[SeenSpan], list[SeenSpan]]:
    """Return a message's spans: of its sending, of its delivery by another edge, of its storing."""
    spans = [
        span
        for span in collector.spans
        if str(span.attributes.get("messaging.message.id", "")).endswith(f"/{message_id}")
    ]
    sent = [span for span in spans if span.name == SEND]
    processed = [span for span in spans if span.name == PROCESS]
    stored = [span for span in processed if OF_THE_PERSISTER in span.attributes]
    # Its own edge delivers it, too, where it reads the record before it hears the ack.
    own = {span.instance for span in sent}
    delivered = [span for span in processed if span not in stored and span.instance not in own]
    return sent, delivered, stored


async def test_a_message_is_one_trace_from_its_sender_s_edge_to_the_others_and_the_store(
    campus: Campus, collector: Collector
) -> None:
    speaker, listener = await two_on_two_edges(campus)
    group, message_id, seen = await campus.group(speaker, listener), new_id(), SeenFrames()
    clients = [
        ChatClient(up, campus.system.mint_token(up), locate=campus.api.locate, seen=seen)
        for up in (speaker, listener)
    ]
    async with Students(clients) as students:
        await students.connect()
        clients[0].post(group, "olá", message_id=message_id, sent_at=0)
        await eventually("all of its spans", lambda: all(way_of(collector, message_id)))
    (sent,), (delivered,), (stored,) = way_of(collector, message_id)
    assert (sent.kind, delivered.kind, stored.kind) == (PRODUCER, CONSUMER, CONSUMER)
    assert {delivered.trace, stored.trace} == {sent.trace}
    assert {delivered.parent, stored.parent} == {sent.id}
    assert {sent.instance, delivered.instance} == {"edge-1", "edge-2"}
    assert stored.resource["service.name"] == "persister"
    assert len({span.attributes["messaging.kafka.offset"] for span in (sent, delivered, stored)}) == 1


async def test_a_request_s_trace_holds_its_reads_and_its_writes(campus: Campus, collector: Collector) -> None:
    up = up_at(0)
    group = await campus.group(up)
    trace = f"{0xABC:032x}"
    said = {"group": group, "from": up, "message": "olá"}
    headers = {
        "Authorization": f"Bearer {campus.system.service_token}",
        "traceparent": f"00-{trace}-{1:016x}-01",
    }
    async with campus.session.post(
        f"{campus.system.internal_url}/message/", json=said, headers=headers
    ) as posting:
        posting.raise_for_status()
    await campus.api.page(group, campus.system.mint_token(up), after=-1)

    def found(name: str) -> list[SeenSpan]:
        return [span for span in collector.spans if span.name == name]

    def has_come() -> bool:
        return {"POST /message", "GET /chat/{group}/message"} <= {span.name for span in collector.spans}

    await eventually("both requests", has_come)
    (posted,) = found("POST /message")
    sent = next(span for span in found(SEND) if span.trace == trace)
    assert (posted.kind, posted.trace, sent.parent) == (SERVER, trace, posted.id)
    assert posted.attributes["http.response.status_code"] in {201, 202}
    (page,) = found("GET /chat/{group}/message")
    reads = [span for span in found("find messages") if span.trace == page.trace]
    assert [(read.kind, read.parent) for read in reads] == [(CLIENT, page.id)]
