"""Random crowds of clients, and what edges report of them."""

from bisect import bisect_right
from random import Random

from hypothesis import strategies as st

from dispatcher.crowd import Load
from dispatcher.shard_table import ShardTable
from schemas.log_records import spread_of
from schemas.up_number import CIRCLE

CAPACITY = 1000


def reported(table: ShardTable, crowd: list[int], capacity: int = CAPACITY) -> dict[str, Load]:
    """Return what the edges say when everybody of ``crowd`` (points) is connected by the table."""
    points: dict[str | None, list[int]] = {edge: [] for edge in table.holders}
    starts = [shard.start for shard in table.shards]
    for point in crowd:
        points.setdefault(table.shards[bisect_right(starts, point) - 1].edge, []).append(point)
    return {edge: Load(len(own), capacity, spread_of(own)) for edge, own in points.items() if edge}


Size = tuple[int, int]
"""How many clients there are, and the seed that says where."""


def sizes(most: int = 2000) -> st.SearchStrategy[Size]:
    """Return crowds of up to so many."""
    return st.tuples(st.integers(0, most), st.integers(0, 2**32))


def crowd_of(size: int, seed: int) -> list[int]:
    """Return the points of so many clients: some everywhere, the others around one or two places."""
    chance = Random(seed)
    centres = [chance.randrange(CIRCLE) for _ in range(chance.randint(1, 2))]
    reach, everywhere = CIRCLE // 10 ** chance.randint(1, 9), chance.random()
    return [
        chance.randrange(CIRCLE)
        if chance.random() < everywhere
        else (chance.choice(centres) + chance.randrange(reach)) % CIRCLE
        for _ in range(size)
    ]
