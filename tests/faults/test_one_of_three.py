"""An edge that alone does not reach one of three brokers: others have its students until it hears again."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.demo.local_system import LocalSystem
from deploy.local.kafka_native import SideDoor
from deploy.local.ports import free_ports
from schemas import topics
from tests.faults.crowd import open_crowd
from tests.faults.outcomes import Outcome
from tests.faults.stage import BROKERS, open_cluster, require_native
from tests.faults.tcp_proxy import FROZEN, GOOD, TcpProxy
from tests.integration.backing import open_admin
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(900)]

DEAF = "edge-2"


@dataclass(frozen=True)
class Ways:
    """The system on three brokers, and one edge's ways to them, by the brokers' numbers."""

    system: LocalSystem
    to_broker: dict[int, TcpProxy]

    def serves_anybody(self) -> bool:
        """Say whether anybody is sent to the edge."""
        url = self.system.edge_urls[DEAF]
        return any(self.system.locate(f"up20000000{digit}") == url for digit in range(10))


@pytest.fixture
def ways(tmp_path: Path) -> Iterator[Ways]:
    """Three brokers, the system on them, and proxies between them and one edge."""
    require_native()
    ports = free_ports(2 * BROKERS)
    doors = [SideDoor(*ports[2 * n : 2 * n + 2]) for n in range(BROKERS)]
    with ExitStack() as stack:
        proxies = [
            stack.enter_context(TcpProxy(f"127.0.0.1:{door.port}", door.advertised_port)) for door in doors
        ]
        told = {DEAF: {"KAFKA_BOOTSTRAP_SERVERS": ",".join(proxy.address for proxy in proxies)}}
        cluster = stack.enter_context(open_cluster(tmp_path, told, doors))
        yield Ways(cluster.system, dict(enumerate(proxies, 1)))


async def leader_of(topic: str, ways: Ways) -> int:
    """Return the number of the broker that leads a topic of one partition."""
    async with open_admin(ways.to_broker[1].address) as admin:
        (described,) = await admin.describe_topics([topic])
    (partition,) = described["partitions"]
    return int(partition["leader"])


@pytest.mark.usefixtures("long_only")
@pytest.mark.parametrize("sees_tables", [True, False])
async def test_an_edge_that_does_not_hear_a_part_of_the_log_gives_its_students_to_others(
    ways: Ways, seed: int, outcome: Outcome, sees_tables: bool
) -> None:
    """one of three brokers silent for one edge alone, the one that leads the tables or another"""
    reports, tables = [await leader_of(name, ways) for name in (topics.EDGE_STATUS, topics.ASSIGNMENTS)]
    fitting = [n for n in ways.to_broker if n != reports and (n != tables) is sees_tables]
    if not fitting:
        pytest.skip("one broker leads reports and tables")
    way = ways.to_broker[fitting[0]]
    async with open_crowd(ways.system, seed) as crowd:
        async with crowd.chatting():
            await crowd.probe()
            way.network = FROZEN
            await eventually("others have its students", lambda: not ways.serves_anybody())
            outcome.recovered_s.append(await crowd.probe())
            way.network = GOOD
            await eventually("it serves again", ways.serves_anybody)
            outcome.recovered_s.append(await crowd.probe())
        outcome.checked = await crowd.judge()
    outcome.counts["one broker silent for one edge"] += 1
