"""Finds or starts Kafka and the store for the demo, the tests and developers.

It says what runs where, and creates neither topics nor collections. Blocking: inside a running
event loop call it by asyncio.to_thread.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.containers import kafka_container, missing_for_docker, mongo_container
from deploy.local.given import GivenService
from deploy.local.kafka_in_memory import InMemoryKafka, missing_for_in_memory_kafka
from deploy.local.kafka_native import missing_for_native_kafka, plan_cluster
from deploy.local.processes import ManagedProcess
from deploy.local.service import BackingProcess, BackingService
from deploy.local.store_process import StoreProcess, missing_for_store, mongodb_uri
from deploy.local.ways import Facts, Way, allowed_ways, choose_way

KAFKA_URL, STORE_URL, DURABLE = "KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "KAFKA_DURABLE"

KAFKA_WORDS = {
    Way.GIVEN: f"given by {KAFKA_URL}",
    Way.DOCKER: "apache/kafka in Docker",
    Way.NATIVE: "Apache Kafka as a process of this machine",
    Way.PIP: "a broker in memory (no idempotence, no transactions, its end loses every record)",
}
STORE_WORDS = {
    Way.GIVEN: f"given by {STORE_URL}",
    Way.DOCKER: "mongo in Docker",
    Way.NATIVE: "SecantusDB as a process of this machine",
    Way.PIP: "SecantusDB as a process of this machine",
}


def without_given(environ: Mapping[str, str]) -> dict[str, str]:
    """Return all variables but those by which somebody's broker and store are given: they are not used."""
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
        """Those of them that are processes of ours: whoever uses them watches that they live."""
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
    allowed = allowed_ways(environ)
    folder = data_dir.resolve()
    kafka_way = choose_way(_kafka_facts(environ, compose), allowed)
    store_way = choose_way(_store_facts(environ, compose), allowed)
    kafka = _kafka(kafka_way, folder, environ, compose)
    store = _store(store_way, folder, environ, compose)
    with ExitStack() as stack:
        for service in (kafka, store):
            stack.callback(service.close)
            service.start()
        announce(f"Kafka: {KAFKA_WORDS[kafka_way]}, at {kafka.address}")
        announce(f"store: {STORE_WORDS[store_way]}, at {store.address}")
        yield RunningBacking(
            kafka,
            store,
            mongodb_uri=environ[STORE_URL] if store_way is Way.GIVEN else mongodb_uri(store.address),
            kafka_durable=_is_durable(kafka_way, environ),
            description=f"Kafka: {KAFKA_WORDS[kafka_way]}; store: {STORE_WORDS[store_way]}",
        )


def _kafka(way: Way, folder: Path, environ: Mapping[str, str], compose: bool) -> BackingService:
    match way:
        case Way.GIVEN:
            return GivenService(KAFKA_URL, environ[KAFKA_URL])
        case Way.NATIVE:
            return plan_cluster(folder, brokers=1)[0]
        case Way.PIP:
            return InMemoryKafka(folder)
        case Way.DOCKER:
            return kafka_container(compose)


def _store(way: Way, folder: Path, environ: Mapping[str, str], compose: bool) -> BackingService:
    match way:
        case Way.GIVEN:
            return GivenService(STORE_URL, environ[STORE_URL])
        case Way.NATIVE | Way.PIP:
            return StoreProcess(folder)
        case Way.DOCKER:
            return mongo_container(compose)


def _kafka_facts(environ: Mapping[str, str], compose: bool) -> Facts:
    return {
        Way.GIVEN: lambda: _missing_variable(KAFKA_URL, environ),
        Way.DOCKER: lambda: missing_for_docker(compose),
        Way.NATIVE: missing_for_native_kafka,
        Way.PIP: missing_for_in_memory_kafka,
    }


def _store_facts(environ: Mapping[str, str], compose: bool) -> Facts:
    return {
        Way.GIVEN: lambda: _missing_variable(STORE_URL, environ),
        Way.DOCKER: lambda: missing_for_docker(compose),
        Way.NATIVE: missing_for_store,
        Way.PIP: missing_for_store,
    }


def _missing_variable(name: str, environ: Mapping[str, str]) -> str | None:
    return None if environ.get(name) else f"{name} is not set"


def _is_durable(way: Way, environ: Mapping[str, str]) -> bool:
    # A developer may have exported what `python -m deploy.local` printed for the broker in memory.
    if way is Way.GIVEN:
        return environ.get(DURABLE, "true") != "false"
    return way is not Way.PIP
