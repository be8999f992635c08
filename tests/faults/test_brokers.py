"""Three real brokers (replication 3, two in sync): one may go at any time; one alone acks nothing."""

import asyncio
import random
from collections.abc import Iterator
from functools import partial
from typing import Final

import pytest

from tests.faults.crowd import Crowd, open_crowd
from tests.faults.outcomes import Outcome
from tests.faults.stage import Cluster, addresses_of, open_cluster, require_native
from tests.integration.backing import open_admin
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(1800)]

ROUNDS: Final = 2


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three brokers and the system on them."""
    require_native()
    with open_cluster(tmp_path_factory.mktemp("cluster"), {}) as opened:
        yield opened


@pytest.mark.usefixtures("long_only")
async def test_a_broker_that_restarts_or_dies_costs_no_message(
    cluster: Cluster, seed: int, outcome: Outcome
) -> None:
    """of three brokers one after the other restarted in order, and killed: leaders and the controller"""
    rng = random.Random(seed)
    async with open_crowd(cluster.system, seed) as crowd:
        async with crowd.chatting():
            # Every broker in turn and in both ways: the controller and each leader is among them.
            brokers = rng.sample(cluster.brokers, 3)
            ends = [end for broker in brokers for end in ((broker, broker.kill), (broker, broker.stop))]
            for broker, end in ends * ROUNDS:
                await asyncio.to_thread(end)
                outcome.recovered_s.append(await crowd.probe())
                outcome.counts[end.__name__] += 1
                await asyncio.to_thread(broker.start)
                print(f"{end.__name__}: recovered in {outcome.recovered_s[-1]:.1f} s")
                await eventually("all replicas are in sync", partial(all_in_sync, cluster))
        outcome.checked = await crowd.judge()


async def test_with_one_broker_of_three_sends_are_refused_and_nothing_is_acked_falsely(
    cluster: Cluster, seed: int, minutes: float, outcome: Outcome
) -> None:
    """two brokers of three down: at once, or in the short form one after the other"""
    rng = random.Random(seed)
    async with open_crowd(cluster.system, seed) as crowd:
        async with crowd.chatting():
            await crowd.probe()
            first, second = rng.sample(cluster.brokers, 2)
            await asyncio.to_thread(first.kill)
            if not minutes:
                # In the long form another test looks at what one broker's death costs.
                outcome.recovered_s.append(await crowd.probe())
                print(f"one of three: recovered in {outcome.recovered_s[-1]:.1f} s")
            await asyncio.to_thread(second.kill)
            acked = await crowd.until_nothing_is_acked()
            await eventually("sends are refused", lambda: retries(crowd) > 0)
            assert len(crowd.recorder.acks) == acked
            await asyncio.gather(*(asyncio.to_thread(broker.start) for broker in (first, second)))
            outcome.recovered_s.append(await crowd.probe())
            print(f"two of three: recovered in {outcome.recovered_s[-1]:.1f} s")
        outcome.checked = await crowd.judge()


async def all_in_sync(cluster: Cluster) -> bool:
    """Whether every partition has its three replicas: only then may the next broker go."""
    async with open_admin(addresses_of(cluster.brokers)) as admin:
        described = await admin.describe_topics(await admin.list_topics())
    return all(len(one["isr"]) == 3 for topic in described for one in topic["partitions"])


def retries(crowd: Crowd) -> int:
    return sum(student.outbox.retries for student in crowd.by_up.values())
