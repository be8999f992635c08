"""What is handed on to members here, and that alone, has a span in its message's trace."""

from collections.abc import Sequence

from aiokafka import ConsumerRecord

from edge_server.clients import Client
from edge_server.delivery import Delivery
from edge_server.fan_out import FanOut
from edge_server.recent_log import Entry, RecentLog
from edge_server.rooms import Rooms
from runtime.tokens import Identity
from tests.unit.edge_server.transports import EngineSocket
from tests.unit.runtime.traced import Traced


async def test_only_what_is_handed_on_has_a_span_and_not_twice() -> None:
    traced, rooms = Traced(), Rooms()
    window = RecentLog(max_bytes=10**6, max_records=100)
    delivery = Delivery(rooms, window, FanOut(rooms), beginning=lambda _: (0, 0), spans=traced.spans)
    member = Client("sid", Identity("up202000001", 0.0), EngineSocket(), max_bytes=10**9, max_packets=10**9)
    rooms.add(member)
    rooms.join(member, "g")
    sampled = traced.sending().headers

    def record(seq: int, group: bytes, trace: Sequence[tuple[str, bytes]]) -> ConsumerRecord:
        headers = [("ce_id", b"up/m%d" % seq), *trace]
        return ConsumerRecord("chat.messages", 0, seq, 77, 1, group, b"", None, 1, 0, headers)

    delivery.acked(Entry("g", b"g/up/m0", 0, 0, 77, frame=b"ours"))
    delivery.consumed(
        0, [record(0, b"g", sampled), record(1, b"g", sampled), record(2, b"h", sampled), record(3, b"g", ())]
    )
    assert [(span.attributes or {})["messaging.message.id"] for span in traced.ended] == ["up/m1"]
