"""Whether the newest table is in use everywhere, and all are where it leads them: to a living edge (P6)."""

from typing import TYPE_CHECKING

import orjson

from schemas import topics
from schemas.assignments import TableAssigned
from schemas.refusals import Refused

if TYPE_CHECKING:
    from tests.simulation.world import World


def published_tables(world: "World") -> list[TableAssigned]:
    """Return all tables that stand in the log, in its order."""
    return [TableAssigned.read(one.headers, one.value) for one in world.log.read(topics.ASSIGNMENTS)]


def unsettled_tables(world: "World") -> str | None:
    """Say what is not yet so; None when all is."""
    newest = _newest_table(world)
    if newest is None:
        return "no table"
    living = {edge.process.name: edge.url for edge in world.edges.values() if edge.accepting}
    for client in world.clients:
        edge = newest.shard_of(client.up).edge
        if edge is None or living.get(edge) is None:
            return f"the newest table leads {client.up} to {edge}"
        for gateway in world.gateways.values():
            try:
                found = orjson.loads(gateway.locations.find(client.up))["url"]
            except Refused as refused:
                found = str(refused)
            if found != living[edge]:
                return f"{gateway.process.name} leads {client.up} to {found}, not to {living[edge]}"
    return next(iter(strays(world)), None)


def strays(world: "World") -> list[str]:
    """Name the clients that are connected elsewhere than where the newest table leads them."""
    newest = _newest_table(world)
    led = [(client, newest.shard_of(client.up).edge) for client in world.clients] if newest else []
    return [
        f"P6 {one.name} stays at {one.edge}, and belongs to {edge}" for one, edge in led if one.edge != edge
    ]


def _newest_table(world: "World") -> TableAssigned | None:
    return max(published_tables(world), key=lambda table: (table.epoch, table.version), default=None)
