"""What hurts a run, and how often; and what is said meanwhile."""

import asyncio
from typing import TYPE_CHECKING, Final

from tests.faults import history as seen
from tests.simulation.simulated_readers import SESSION_S

if TYPE_CHECKING:
    from tests.simulation.simulated_client import SimulatedClient
    from tests.simulation.world import World

STORM_S: Final = 5.0
GROUPS: Final = ("g0", "g1", "g2")


async def storm(world: "World") -> None:
    """Let it happen for `STORM_S`."""
    rng, loop = world.chance.random, asyncio.get_running_loop()
    weights = [weight if rng.random() < 0.7 else 0 for weight in ACTIONS.values()]
    weights[0] = ACTIONS[say_something]
    until = loop.time() + STORM_S
    while loop.time() < until:
        await asyncio.sleep(rng.uniform(0.0, 0.15))
        (action,) = rng.choices(list(ACTIONS), weights)
        action(world)


def say_something(world: "World") -> None:
    _say(world, world.chance.random.choice(world.clients))


def all_say_something(world: "World") -> None:
    for client in world.clients * 2:
        _say(world, client)


def _say(world: "World", client: "SimulatedClient") -> None:
    group = world.chance.random.choice(GROUPS)
    if (group, client.up) in world.memberships:
        number = len(world.said)
        said = seen.Said(client.up, group, f"m{number}", f"text {number}", number)
        world.said.append(said)
        world.trace(f"{client.name} says {said.id} in {group}")
        client.say(said)


def drop_a_connection(world: "World") -> None:
    rng = world.chance.random
    rng.choice(world.clients).drop(away_s=rng.choice((0.0, 0.0, 2.0)))


def kill_something(world: "World") -> None:
    alive = [one for one in world.processes.values() if one.alive]
    if alive:
        world.chance.random.choice(alive).kill()


def stop_an_edge(world: "World") -> None:
    edge = world.chance.random.choice(list(world.edges.values()))
    if edge.accepting and edge.process.alive and not edge.parts.drain.active:
        world.trace(f"{edge.process.name} stops")
        edge.process.spawn(edge.stop())


def fail_a_leader(world: "World") -> None:
    partition = world.chance.random.choice(list(world.log.partitions.values()))
    world.trace(f"the leader of {partition.tp.topic}/{partition.tp.partition} dies")
    world.log.fail_leader(partition)


def rebalance(world: "World") -> None:
    world.group.rebalance()
    world.dispatchers.rebalance()


def freeze_a_dispatcher(world: "World") -> None:
    rng = world.chance.random
    dispatchers = [one for name, one in world.processes.items() if name.startswith("dispatcher")]
    rng.choice(dispatchers).freeze(rng.uniform(0.0, 3.0 * SESSION_S))


def ask_for_a_drain(world: "World") -> None:
    rng = world.chance.random
    world.in_background(world.ask_to_drain(rng.choice(list(world.edges)), drain=rng.random() < 0.5))


def change_a_membership(world: "World") -> None:
    client = world.chance.random.choice(world.clients)
    group = world.chance.random.choice(GROUPS)
    if (group, client.up) not in world.changing:
        world.changing.add((group, client.up))
        world.in_background(_change(world, group, client.up))


async def _change(world: "World", group: str, up: str) -> None:
    await world.set_member(group, up, member=(group, up) not in world.memberships)
    world.changing.discard((group, up))


ACTIONS: Final = {
    say_something: 10,
    all_say_something: 2,
    drop_a_connection: 3,
    kill_something: 1,
    stop_an_edge: 1,
    fail_a_leader: 2,
    rebalance: 1,
    freeze_a_dispatcher: 1,
    ask_for_a_drain: 1,
    change_a_membership: 1,
}
"""What happens in a storm, and how often. Each seed leaves out some of it."""
