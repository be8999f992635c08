"""The system that is disturbed: every part a real process, with a handle, and bad networks between some.

edge-1 reaches the broker, and the persister reaches the store, through proxies; all others go directly.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from deploy.demo.environment import OPS_PORTS, edge_names
from deploy.demo.local_system import LocalSystem
from deploy.demo.service_process import ServiceProcess
from deploy.local.kafka_native import (
    NativeKafka,
    SideDoor,
    missing_for_native_kafka,
    native_kafka_cluster,
    plan_cluster,
)
from deploy.local.ports import free_ports
from deploy.local.store_process import StoreProcess, missing_for_store, mongodb_uri
from tests.faults.tcp_proxy import GOOD, TcpProxy

BROKERS: Final = 3
SERVICES: Final = (*OPS_PORTS, *edge_names(2))

Told = Mapping[str, Mapping[str, str]]
"""Settings by service."""

TOLD: Final[dict[str, str]] = {
    # A request that hangs is given up earlier than in production, so that tests need not wait.
    "KAFKA_REQUEST_TIMEOUT_MS": "6000",
    "SESSION_TIMEOUT_MS": "6000",
}


@dataclass(frozen=True)
class Stage:
    """The running system and the handles to disturb it."""

    system: LocalSystem
    broker: NativeKafka
    store: StoreProcess
    to_broker: TcpProxy
    """Between edge-1 and the broker."""
    to_store: TcpProxy
    """Between the persister and the store."""

    def put_right(self) -> None:
        """Let everything run again, over a good network, and wait until it may be given work."""
        self.to_broker.network = self.to_store.network = GOOD
        for backing in (self.broker, self.store):
            backing.thaw()
            if not backing.alive:
                backing.start()
        for service in self.system.services.values():
            service.thaw()
            if not service.alive:
                service.launch()
        for service in self.system.services.values():
            service.wait_ready()
        self.system.wait_until_spread()

    @contextmanager
    def told(self, services: Sequence[ServiceProcess], settings: Mapping[str, str]) -> Iterator[None]:
        """Let services, restarted for it, have other settings for the length of the block.

        Afterwards they are down: `put_right` starts them with their own.
        """
        before = [(service, service.env) for service in services]
        for service, env in before:
            service.env = {**env, **settings}
        try:
            for service in services:
                service.kill()
                service.launch()
            for service in services:
                service.wait_ready()
            self.system.wait_until_spread()
            yield
        finally:
            for service, env in before:
                service.env = env
                service.kill()


def require_native() -> None:
    """Skip a test where neither broker nor store can be disturbed."""
    if missing := missing_for_native_kafka() or missing_for_store():
        pytest.skip(f"faults need a native broker and store: {missing}")


@contextmanager
def open_stage(
    folder: Path, *, broker_data: Path | None = None, store_data: Path | None = None
) -> Iterator[Stage]:
    """Run the system for the length of the block; broker and store may have folders of their own."""
    data_dir = folder / "data"
    # Ports that are chosen together are different ones.
    door_port, broker_proxy_port, store_proxy_port = free_ports(3)
    broker = plan_cluster(broker_data or data_dir, 1, [SideDoor(door_port, broker_proxy_port)])[0]
    store = StoreProcess(store_data or data_dir)
    with ExitStack() as stack:
        # The proxies take their ports at once: until a broker has started somebody else might.
        to_broker = stack.enter_context(TcpProxy(f"127.0.0.1:{door_port}", broker_proxy_port))
        to_store = stack.enter_context(TcpProxy(store.address, store_proxy_port))
        for service in (broker, store):
            stack.callback(service.close)
            service.start()
        told = {
            "edge-1": {"KAFKA_BOOTSTRAP_SERVERS": to_broker.address},
            "persister": {"MONGODB_URI": mongodb_uri(to_store.address)},
        }
        system = stack.enter_context(_system_on(folder, [broker], store, told))
        yield Stage(system, broker, store, to_broker, to_store)


@dataclass(frozen=True)
class Cluster:
    """The system on three brokers, each of which has every partition."""

    system: LocalSystem
    brokers: Sequence[NativeKafka]


@contextmanager
def open_cluster(folder: Path, told: Told, doors: Sequence[SideDoor] = ()) -> Iterator[Cluster]:
    """Run the system on three brokers for the length of the block; each broker may have a side door."""
    store = StoreProcess(folder / "data")
    with ExitStack() as stack:
        stack.callback(store.close)
        store.start()
        brokers = stack.enter_context(native_kafka_cluster(folder / "data", BROKERS, doors))
        yield Cluster(stack.enter_context(_system_on(folder, brokers, store, told)), brokers)


def addresses_of(brokers: Sequence[NativeKafka]) -> str:
    """Return what clients are given: any of the brokers may be missing."""
    return ",".join(broker.address for broker in brokers)


def _system_on(folder: Path, brokers: Sequence[NativeKafka], store: StoreProcess, told: Told) -> LocalSystem:
    """Return the services on brokers and a store that run already."""
    everybody = {**TOLD, "KAFKA_REPLICATION_FACTOR": str(len(brokers))}
    return LocalSystem(
        data_dir=folder / "data",
        log_dir=folder / "logs",
        env={name: {**everybody, **told.get(name, {})} for name in SERVICES},
        environ={"KAFKA_BOOTSTRAP_SERVERS": addresses_of(brokers), "MONGODB_URI": mongodb_uri(store.address)},
        usual_ports=False,
    )
