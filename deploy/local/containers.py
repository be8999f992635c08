"""Kafka and MongoDB as Docker containers: by testcontainers for tests, by compose for the demo.

Both run what the compose file says. Each listens on a port of this machine chosen beforehand, so that a
container which is stopped and started again is found where it was. What they store ends with them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from deploy.local.kafka_probe import brokers_known
from deploy.local.ports import HOST, free_ports
from deploy.local.processes import wait_until
from deploy.local.store_process import answers_ping, mongodb_uri
from deploy.repository import REPOSITORY

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

COMPOSE_FILE = REPOSITORY / "deploy" / "compose.backing.yaml"
START_DEADLINE_S = 120.0
# The first use of an image fetches it.
COMMAND_DEADLINE_S = 900.0
ENGINE_DEADLINE_S = 10.0


class Engine(Protocol):
    """One container, however it is run."""

    def act(self, verb: str) -> None:
        """Do one of create, start, stop, kill, pause, unpause and remove."""
        ...


class ContainerService:
    """A backing service in one container; it keeps its address over stop, kill and start."""

    def __init__(self, engine: Engine, address: str, answers: Callable[[], bool]) -> None:
        self._engine = engine
        self.address = address
        self._answers = answers
        self._created = False

    def start(self) -> None:
        """Start it and wait until it serves clients. Raises when it does not."""
        self._engine.act("start" if self._created else "create")
        self._created = True
        wait_until(self._answers, START_DEADLINE_S, f"container at {self.address} ready")

    def stop(self) -> None:
        """Stop it in order; what it stored stays until `close`."""
        self._engine.act("stop")

    def kill(self) -> None:
        """End it as a crash would; what it stored stays until `close`."""
        self._engine.act("kill")

    def freeze(self) -> None:
        """Stop it where it stands: its connections stay open and say nothing."""
        self._engine.act("pause")

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self._engine.act("unpause")

    def close(self) -> None:
        """End it for good, with what it stored."""
        self._engine.act("remove")


class TestcontainersEngine:
    """A container that testcontainers runs; its reaper removes it even when we are killed."""

    __test__ = False  # the name is the library's; it is no class of tests

    def __init__(self, container: DockerContainer) -> None:
        self._container = container

    def act(self, verb: str) -> None:
        """Do one of the verbs of `Engine`; Docker's own errors pass through."""
        if verb == "create":
            self._container.start()
        elif verb == "remove":
            self._container.stop()
        else:
            wrapped: Any = self._container.get_wrapped_container()
            getattr(wrapped, verb)()


class ComposeEngine:
    """One service of the compose file, in a project of its own."""

    def __init__(
        self,
        service: str,
        port: int,
        run: Callable[[Sequence[str], Mapping[str, str]], None] | None = None,
    ) -> None:
        self._service = service
        self._port = port
        self._run = run or _run

    def act(self, verb: str) -> None:
        """Do one of the verbs of `Engine`. Raises RuntimeError with what Docker said."""
        command = {
            "create": ["up", "--detach", self._service],
            "remove": ["down", "--volumes"],
        }.get(verb, [verb, self._service])
        project = f"uni4all-{self._service}-{self._port}"
        argv = ["docker", "compose", "--file", str(COMPOSE_FILE), "--project-name", project]
        self._run([*argv, *command], {"BACKING_PORT": str(self._port)})


def kafka_container(compose: bool) -> ContainerService:
    """Kafka in Docker, not started."""
    [port] = free_ports(1)
    engine = _engine(compose, "kafka", port)
    return ContainerService(engine, f"{HOST}:{port}", lambda: brokers_known(HOST, port) >= 1)


def mongo_container(compose: bool) -> ContainerService:
    """MongoDB in Docker, not started."""
    [port] = free_ports(1)
    address = f"{HOST}:{port}"
    engine = _engine(compose, "mongodb", port)
    return ContainerService(engine, address, lambda: answers_ping(mongodb_uri(address)))


def missing_for_docker(compose: bool) -> str | None:
    """Return why Docker cannot be used here; None if it can."""
    if shutil.which("docker") is None:
        return "no docker on the PATH"
    if not _succeeds("docker", "version", "--format", "{{.Server.Version}}"):
        return "no Docker engine answers"
    if compose and not _succeeds("docker", "compose", "version"):
        return "docker has no compose plugin"
    return None


def composed(service: str, port: int) -> dict[str, Any]:
    """Return what the compose file says of a service that answers at ``port`` of this machine."""
    text = re.sub(r"\$\{BACKING_PORT:-\d+\}", str(port), COMPOSE_FILE.read_text())
    said: dict[str, Any] = yaml.safe_load(text)["services"][service]
    return said


def _engine(compose: bool, service: str, port: int) -> Engine:
    if compose:
        return ComposeEngine(service, port)
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - tests only

    said = composed(service, port)
    [published] = said["ports"]
    container = DockerContainer(said["image"]).with_bind_ports(int(published.rpartition(":")[2]), port)
    for name, value in said.get("environment", {}).items():
        container.with_env(name, value)
    return TestcontainersEngine(container)


def _succeeds(*argv: str) -> bool:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=ENGINE_DEADLINE_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _run(argv: Sequence[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(
        argv,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=COMMAND_DEADLINE_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} failed\n{done.stdout}{done.stderr}")
