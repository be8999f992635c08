"""An edge that alone does not reach one of three brokers: others have its students until it hears again."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.demo.local_system import LocalSystem
from deploy.local.kafka_native import SideDoor, native_kafka_cluster
from deploy.local.ports import free_ports
from deploy.local.store_process import StoreProcess
from schemas import topics
from tests.faults.crowd import open_crowd
from tests.faults.outcomes import Outcome
from tests.faults.stage import TOLD, require_native, system_on
from tests.faults.tcp_proxy import FROZEN, GOOD, TcpProxy
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(900)]

BROKERS = 3
SERVICES = ("edge-1", "edge-2", "persister", "dispatcher", "api_gateway")
DEAF = "edge-2"


@dataclass(frozen=True)
class Cluster:
    """The system on three brokers, and the ways of one edge to them, by the brokers' numbers."""

    system: LocalSystem
    ways: dict[int, TcpProxy]

    def serves_anybody(self) -> bool:
        """Say whether anybody is sent to the edge."""
        url = self.system.edge_urls[DEAF]
        return any(self.system.locate(f"up20000000{digit}") == url for digit in range(10))


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three brokers, the system on them, and proxies between them and one edge."""
    require_native()
    folder = tmp_path_factory.mktemp("one-of-three")
    ports = free_ports(2 * BROKERS)
    doors = [SideDoor(*ports[2 * n : 2 * n + 2]) for n in range(BROKERS)]
    store = StoreProcess(folder / "data")
    with ExitStack() as stack:
        ways = [stack.enter_context(TcpProxy(f"127.0.0.1:{door.port}", door.told_port)) for door in doors]
        stack.callback(store.close)
        store.start()
        brokers = stack.enter_context(native_kafka_cluster(folder / "data", BROKERS, doors))
        env = {name: {**TOLD, "KAFKA_REPLICATION_FACTOR": "3"} for name in SERVICES}
        env[DEAF]["KAFKA_BOOTSTRAP_SERVERS"] = ",".join(way.address for way in ways)
        kafka = ",".join(broker.address for broker in brokers)
        system = stack.enter_context(system_on(folder, kafka=kafka, store=store.address, env=env))
        yield Cluster(system, dict(enumerate(ways, 1)))


async def leader_of(topic: str, cluster: Cluster) -> int:
    """Return the number of the broker that leads a topic of one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.ways[1].address)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    (partition,) = described["partitions"]
    return int(partition["leader"])


@pytest.mark.usefixtures("long_only")
@pytest.mark.parametrize("sees_tables", [True, False])
async def test_an_edge_that_does_not_hear_a_part_of_the_log_gives_its_students_to_others(
    cluster: Cluster, seed: int, outcome: Outcome, sees_tables: bool
) -> None:
    """one of three brokers silent for one edge alone, the one that leads the tables or another"""
    reports, tables = [await leader_of(name, cluster) for name in (topics.EDGE_STATUS, topics.ASSIGNMENTS)]
    fitting = [n for n in cluster.ways if n != reports and (n != tables) is sees_tables]
    if not fitting:
        pytest.skip("one broker leads reports and tables")
    way = cluster.ways[fitting[0]]
    async with open_crowd(cluster.system, seed) as crowd:
        async with crowd.chatting():
            await crowd.probe()
            way.network = FROZEN
            await eventually("others have its students", lambda: not cluster.serves_anybody())
            outcome.recovered_s.append(await crowd.probe())
            way.network = GOOD
            await eventually("it serves again", cluster.serves_anybody)
            outcome.recovered_s.append(await crowd.probe())
        outcome.checked = await crowd.judge()
    outcome.counts["one broker silent for one edge"] += 1
