"""A user may connect only so often: what a connect costs, and that all its devices can come back at once."""

from typing import Any, cast

import pytest

from api_gateway.settings import GatewaySettings
from edge_server.handshake import GROUPS_A_CONNECT, Handshake
from edge_server.settings import EdgeSettings
from runtime import metrics
from runtime.memberships import Memberships
from schemas.refusals import RATE_LIMITED, Refused
from tests.counting import counting
from tests.unit.refusing import refuses

UP = "up202000001"


async def test_a_connect_costs_its_user_as_much_as_there_are_groups_and_a_refused_one_nothing() -> None:
    settings = EdgeSettings(
        connects_per_s_per_user=0.001, connects_burst_per_user=5, max_connections_per_user=5
    )
    memberships, nothing = Memberships(), cast(Any, None)
    handshake = Handshake(settings, nothing, memberships)
    for n in range(GROUPS_A_CONNECT):
        memberships.set_member(f"g{n}", UP, True)
    hits = counting(metrics.LIMIT_HITS.labels(limit="connects of a user"))
    for _ in range(3):
        handshake.require_budget(UP)
    for _ in range(20):
        with refuses(RATE_LIMITED) as refused:
            handshake.require_budget(UP)
        assert 1_000 < (refused.value.retry_after_s or 0) <= 2_000
    assert hits() == 20
    handshake.require_budget("up202000002")


def test_all_devices_of_a_user_in_as_many_groups_as_may_be_can_come_back_at_once() -> None:
    edge, gateway = EdgeSettings(), GatewaySettings()
    each = 1 + gateway.max_groups_per_user / GROUPS_A_CONNECT
    assert edge.connects_burst_per_user >= edge.max_connections_per_user * each


def test_what_is_wrong_with_a_cursor_is_said_however_long_its_room_s_name_is() -> None:
    nothing = cast(Any, None)
    handshake = Handshake(EdgeSettings(), nothing, nothing)
    with pytest.raises(Refused) as refused:
        handshake.authenticate({"token": "x", "since": {"g" * 1_000: "no number"}})
    assert (refused.value.detail or "").startswith("auth.since.ggg")
    assert ": String should match pattern" in (refused.value.detail or "")
