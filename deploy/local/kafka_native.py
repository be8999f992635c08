"""Apache Kafka in KRaft mode as processes of this machine, one broker or several.

Needs Java 17+ and the jars that `make setup` brings. It creates no topics.
"""

import base64
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from types import MappingProxyType

from deploy.local.kafka_probe import brokers_known
from deploy.local.ports import HOST, free_ports
from deploy.local.processes import wait_until
from deploy.local.service import BackingProcess
from deploy.repository import REPOSITORY

KAFKA_LIBS = REPOSITORY / ".backing" / "kafka-libs"
CLASSES = REPOSITORY / ".backing" / "kafka-classes.jsa"
"""Java's archive of the broker's classes, made by `make setup`: a broker starts faster with it."""
LOG_CONFIG = REPOSITORY / "deploy" / "kafka" / "log4j2.properties"
CONFIG, DATA = "server.properties", "data"
"""Where a broker's configuration and its records are, from its folder."""
OLDEST_JAVA = 17
START_DEADLINE_S = 90.0
FORMAT_DEADLINE_S = 60.0


@dataclass(frozen=True)
class SideDoor:
    """A second listener, advertised with another port, such as that of a proxy."""

    port: int
    advertised_port: int


@dataclass(frozen=True)
class BrokerPlace:
    """Where one broker lives: its number, its two ports and its folder; and its second way in, if any."""

    node_id: int
    client_port: int
    controller_port: int
    folder: Path
    door: SideDoor | None = None

    @property
    def address(self) -> str:
        """What clients connect to."""
        return f"{HOST}:{self.client_port}"


def server_properties(place: BrokerPlace, cluster: Sequence[BrokerPlace]) -> str:
    """The broker's configuration file. Pure: the same places give the same text."""
    copies = min(3, len(cluster))
    in_sync = max(1, copies - 1)
    voters = ",".join(f"{one.node_id}@{HOST}:{one.controller_port}" for one in cluster)
    controller = f"CONTROLLER://{HOST}:{place.controller_port}"
    settings = {
        "process.roles": "broker,controller",
        "node.id": place.node_id,
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{place.address},{controller}",
        "advertised.listeners": f"PLAINTEXT://{place.address}",
        **(_door_settings(place, place.door) if place.door else {}),
        # As each broker runs in its folder. A whole path would be two at a comma, and Java reads this file as
        # Latin-1: another folder, if the path has other letters than English ones.
        "log.dirs": DATA,
        # A service that misspells a topic must fail, not write where nobody reads.
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        # After a kill the same broker is let in again only when its old session has ended.
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 1000,
        # The defaults (50 partitions each, 128 MB for the cleaner, 3 s before a group's first
        # balance) are made for a machine of its own.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "group.initial.rebalance.delay.ms": 0,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _door_settings(place: BrokerPlace, door: SideDoor) -> dict[str, object]:
    controller = f"CONTROLLER://{HOST}:{place.controller_port}"
    return {
        "listeners": f"PLAINTEXT://{place.address},DOOR://{HOST}:{door.port},{controller}",
        "advertised.listeners": f"PLAINTEXT://{place.address},DOOR://{HOST}:{door.advertised_port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DOOR:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
    }


class NativeKafka(BackingProcess):
    """One broker process that keeps its port and its data over stop, kill and start."""

    def __init__(
        self,
        place: BrokerPlace,
        cluster: Sequence[BrokerPlace],
        cluster_id: str,
        own: Mapping[str, object],
    ) -> None:
        super().__init__(
            f"kafka-{place.node_id}",
            _java("-Xmx512m", "kafka.Kafka", CONFIG),
            where=place.address,
            start_deadline_s=START_DEADLINE_S,
            log_file=place.folder / "stdout.log",
            cwd=place.folder,
        )
        self._place = place
        self._cluster = cluster
        self._cluster_id = cluster_id
        self._own = own

    def launch(self) -> None:
        """Write the configuration, format the folder the first time, and start without waiting."""
        self._place.folder.mkdir(parents=True, exist_ok=True)
        own = "".join(f"{key}={value}\n" for key, value in self._own.items())
        (self._place.folder / CONFIG).write_text(server_properties(self._place, self._cluster) + own)
        if not (self._place.folder / DATA / "meta.properties").exists():
            _format(self._place, self._cluster_id)
        super().launch()

    def is_ready(self) -> bool:
        """Whether it serves clients and knows at least one live broker, itself included."""
        return self.brokers_known() >= 1

    def close(self) -> None:
        """End it for good. What it acknowledged stays in its folder."""
        if len(self._cluster) == 1:
            self.stop()
        else:
            # An orderly end waits for the quorum, which the other brokers' ends have taken away.
            self.kill()

    def brokers_known(self) -> int:
        """Return how many live brokers it reports to clients; 0 while it does not answer."""
        return brokers_known(HOST, self._place.client_port)


def plan_cluster(
    data_dir: Path,
    brokers: int,
    doors: Sequence[SideDoor] = (),
    own: Mapping[str, object] = MappingProxyType({}),
) -> list[NativeKafka]:
    """Choose places for `brokers` brokers under `data_dir`; nothing is started yet.

    They share the controllers' quorum: with three, one may be missing. In a folder that was used
    before they take up its data. The first ones get the side doors. ``own`` settings override ours.
    """
    ports = iter(free_ports(2 * brokers))
    places = [
        BrokerPlace(n, next(ports), next(ports), data_dir / f"kafka-{n}", door)
        for n, door in zip(range(1, brokers + 1), chain(doors, repeat(None)), strict=False)
    ]
    cluster_id = _cluster_id(data_dir)
    return [NativeKafka(place, places, cluster_id, own) for place in places]


@contextmanager
def native_kafka_cluster(
    data_dir: Path,
    brokers: int,
    doors: Sequence[SideDoor] = (),
    own: Mapping[str, object] = MappingProxyType({}),
) -> Iterator[list[NativeKafka]]:
    """Run several brokers for the length of the block; yields them when each knows all of them.

    Clients are best given every `address`, joined by commas: any broker may be missing.
    """
    cluster = plan_cluster(data_dir.resolve(), brokers, doors, own)
    with ExitStack() as stack:
        for broker in cluster:
            stack.callback(broker.close)
            broker.launch()
        for broker in cluster:
            broker.wait_ready()
            wait_until(
                partial(_knows, broker, brokers),
                START_DEADLINE_S,
                f"{brokers} brokers known at {broker.address}",
            )
        yield cluster


def missing_for_native_kafka() -> str | None:
    """Return why native Kafka cannot run here; None if it can."""
    if shutil.which("java") is None:
        return "no java on the PATH"
    version = java_version()
    if version < OLDEST_JAVA:
        return f"java {version} is older than {OLDEST_JAVA}"
    if not any(KAFKA_LIBS.glob("kafka-server-*.jar")):
        return "the broker's jars are not there (make setup brings them, with Maven)"
    return None


def java_version() -> int:
    """Return the major version of the java on the PATH; 0 if it prints none."""
    done = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    return parse_java_version(done.stderr)


def parse_java_version(output: str) -> int:
    """Return the major version in the output of `java -version`; 8 for "1.8.0_292"."""
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found[1]) if found else 0


def _knows(broker: NativeKafka, brokers: int) -> bool:
    return broker.brokers_known() >= brokers


def _format(place: BrokerPlace, cluster_id: str) -> None:
    tool = ("kafka.tools.StorageTool", "format", "-g", f"--cluster-id={cluster_id}")
    argv = _java("-Xmx128m", *tool, "-c", CONFIG)
    done = subprocess.run(
        argv, cwd=place.folder, capture_output=True, text=True, timeout=FORMAT_DEADLINE_S, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"formatting {place.folder} failed\n{done.stdout}{done.stderr}")


def _java(heap: str, *program: str) -> list[str]:
    """Return the command of a program of Kafka that is run in its broker's folder."""
    return [
        "java",
        heap,
        f"-Dlog4j2.configurationFile={LOG_CONFIG}",
        "-Dkafka.log.file=broker.log",
        "-Djava.awt.headless=true",
        # Such a broker lives for minutes: compiling its code well would cost more than it saves.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        *([f"-XX:SharedArchiveFile={CLASSES}"] if CLASSES.exists() else []),
        "-cp",
        f"{KAFKA_LIBS}/*",
        *program,
    ]


def _cluster_id(data_dir: Path) -> str:
    """The id the folder's brokers were formatted with, made at the first use."""
    kept = data_dir / "kafka-cluster-id"
    if not kept.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        kept.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
    return kept.read_text()
