"""What is counted of those who go."""

from engineio.base_server import BaseServer

from edge_server import cut_off, moving
from runtime import metrics
from schemas.refusals import EXPIRED_TOKEN, RATE_LIMITED, SLOW_CLIENT, TOO_MANY_CONNECTIONS


def test_every_reason_begins_at_zero() -> None:
    of_library = {value for name, value in vars(BaseServer.reason).items() if name.isupper()}
    closed_for = (EXPIRED_TOKEN, RATE_LIMITED, SLOW_CLIENT, TOO_MANY_CONNECTIONS)
    ours = {
        cut_off.CLOSED_BECAUSE,
        moving.CLOSED_BECAUSE,
        "stopping",
        *(refusal.code for refusal in closed_for),
    }
    assert set(metrics.DISCONNECT_REASONS) == of_library | ours
