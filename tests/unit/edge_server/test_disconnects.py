"""What is counted of those who go."""

from engineio.base_server import BaseServer

from edge_server import cut_off, moving
from runtime import metrics
from schemas.refusals import EXPIRED_TOKEN, SLOW_CLIENT, TOO_MANY_CONNECTIONS


def test_every_reason_begins_at_zero() -> None:
    of_library = {value for name, value in vars(BaseServer.reason).items() if name.isupper()}
    refusals = {refusal.code for refusal in (EXPIRED_TOKEN, SLOW_CLIENT, TOO_MANY_CONNECTIONS)}
    ours = {cut_off.CLOSED_BECAUSE, moving.CLOSED_BECAUSE, "stopping"} | refusals
    assert set(metrics.DISCONNECT_REASONS) == of_library | ours
