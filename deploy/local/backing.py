"""Finds or starts Kafka and the store for the demo, the tests and developers.

It prints what runs where, and creates neither topics nor collections. Blocking: in a running event
loop call it by asyncio.to_thread.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from deploy.local.containers import kafka_container, missing_for_docker, mongo_container
from deploy.local.given import GivenService
from deploy.local.kafka_in_memory import InMemoryKafka, missing_for_in_memory_kafka
from deploy.local.kafka_native import missing_for_native_kafka, plan_cluster
from deploy.local.processes import ManagedProcess
from deploy.local.service import BackingProcess, BackingService
from deploy.local.store_process import StoreProcess, missing_for_store, mongodb_uri
from deploy.local.ways import Obstacle, Way, allowed_ways, choose_way

KAFKA_URL, STORE_URL, DURABLE = "KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "KAFKA_DURABLE"


def without_given(environ: Mapping[str, str]) -> dict[str, str]:
    """Return all variables except those that name an external broker and store."""
    return {name: value for name, value in environ.items() if name not in (KAFKA_URL, STORE_URL, DURABLE)}


@dataclass(frozen=True)
class RunningBacking:
    """The backing services while they run: where they are, and the handles to disturb them.

    `kafka_durable` is False only for the broker in memory: no idempotence, no transactions, and
    its end loses every record.
    """

    kafka: BackingService
    store: BackingService
    mongodb_uri: str
    kafka_durable: bool
    description: str

    @property
    def processes(self) -> list[ManagedProcess]:
        """The services that are processes of ours; users check that they stay alive."""
        return [one for one in (self.kafka, self.store) if isinstance(one, BackingProcess)]

    def env(self) -> dict[str, str]:
        """The environment variables that tell a service about them."""
        return {
            KAFKA_URL: self.kafka.address,
            STORE_URL: self.mongodb_uri,
            DURABLE: str(self.kafka_durable).lower(),
        }


@contextmanager
def backing_services(
    data_dir: Path,
    *,
    announce: Callable[[str], object] = print,
    compose: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[RunningBacking]:
    """Run Kafka and the store for the length of the block, by the first way that works here.

    BACKING in `environ` limits the choice to one way. With `compose`, Docker means the compose
    file, otherwise testcontainers. Data lies under `data_dir` (but for Docker and the broker in
    memory) and is taken up again by a later block.
    Raises NoWayError when a service cannot be had, TimeoutError when it does not get ready.
    """
    folder = data_dir.resolve()
    to_kafka = _ways_to_kafka(folder, environ, compose)
    to_store = _ways_to_the_store(folder, environ, compose)
    kafka_way, store_way = _choose(to_kafka, environ), _choose(to_store, environ)
    kafka, store = to_kafka[kafka_way].make(), to_store[store_way].make()
    with ExitStack() as stack:
        for service in (kafka, store):
            stack.callback(service.close)
            service.start()
        announce(f"Kafka: {to_kafka[kafka_way].words}, at {kafka.address}")
        announce(f"store: {to_store[store_way].words}, at {store.address}")
        yield RunningBacking(
            kafka,
            store,
            mongodb_uri=environ[STORE_URL] if store_way is Way.GIVEN else mongodb_uri(store.address),
            kafka_durable=_is_durable(kafka_way, environ),
            description=f"Kafka: {to_kafka[kafka_way].words}; store: {to_store[store_way].words}",
        )


class _Candidate(NamedTuple):
    """A way to get a service: its description, its obstacle if any, and a factory."""

    words: str
    obstacle: Obstacle
    make: Callable[[], BackingService]


def _choose(ways: Mapping[Way, _Candidate], environ: Mapping[str, str]) -> Way:
    return choose_way({way: one.obstacle for way, one in ways.items()}, allowed_ways(environ))


def _ways_to_kafka(folder: Path, environ: Mapping[str, str], compose: bool) -> dict[Way, _Candidate]:
    return {
        Way.GIVEN: _given(KAFKA_URL, environ),
        Way.DOCKER: _Candidate(
            "apache/kafka in Docker", lambda: missing_for_docker(compose), lambda: kafka_container(compose)
        ),
        Way.NATIVE: _Candidate(
            "Apache Kafka as a process of this machine",
            missing_for_native_kafka,
            lambda: plan_cluster(folder, brokers=1)[0],
        ),
        Way.PIP: _Candidate(
            "a broker in memory (no idempotence, no transactions, its end loses every record)",
            missing_for_in_memory_kafka,
            lambda: InMemoryKafka(folder),
        ),
    }


def _ways_to_the_store(folder: Path, environ: Mapping[str, str], compose: bool) -> dict[Way, _Candidate]:
    process = _Candidate(
        "SecantusDB as a process of this machine", missing_for_store, lambda: StoreProcess(folder)
    )
    return {
        Way.GIVEN: _given(STORE_URL, environ),
        Way.DOCKER: _Candidate(
            "mongo in Docker", lambda: missing_for_docker(compose), lambda: mongo_container(compose)
        ),
        Way.NATIVE: process,
        Way.PIP: process,
    }


def _given(name: str, environ: Mapping[str, str]) -> _Candidate:
    return _Candidate(
        f"given by {name}",
        lambda: None if environ.get(name) else f"{name} is not set",
        lambda: GivenService(name, environ[name]),
    )


def _is_durable(way: Way, environ: Mapping[str, str]) -> bool:
    # A developer may have exported what `python -m deploy.local` printed for the broker in memory.
    if way is Way.GIVEN:
        return environ.get(DURABLE, "true") != "false"
    return way is not Way.PIP
