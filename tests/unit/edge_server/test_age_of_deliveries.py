"""The age of what is delivered is measured; what is read again before anybody is here is no delivery."""

from aiokafka import ConsumerRecord
from prometheus_client import REGISTRY

from edge_server.clients import Client
from edge_server.delivery import Delivery
from edge_server.fan_out import FanOut
from edge_server.recent_log import RecentLog
from edge_server.rooms import Rooms
from runtime.tokens import Identity
from schemas.log_records import message_value
from tests.unit.edge_server.transports import EngineSocket

UP = "up202000001"


def ages_measured() -> float | None:
    return REGISTRY.get_sample_value("chat_edge_bus_lag_seconds_count")


def test_only_what_is_read_while_somebody_is_here_has_an_age() -> None:
    rooms = Rooms()
    window = RecentLog(max_bytes=10**6, max_records=100)
    delivery = Delivery(rooms, window, FanOut(rooms), beginning=lambda _: (0, 0))

    def read(seq: int) -> None:
        value = message_value(id=f"m{seq}", group="g", up=UP, message="hello", sent_at=5)
        record = ConsumerRecord("chat.messages", 0, seq, 77, 1, b"g", value, None, 1, len(value), [])
        delivery.consumed(0, [record])

    before = ages_measured()
    assert before is not None
    read(0)
    assert ages_measured() == before
    rooms.add(Client("sid", Identity(UP, 0.0), EngineSocket(), max_bytes=10**9, max_packets=10**9))
    read(1)
    assert ages_measured() == before + 1
