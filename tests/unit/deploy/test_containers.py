"""Docker: everything up to the call of the engine, and the compose file as compose would read it."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from testcontainers.core import container as container_module

from deploy.local import containers
from deploy.local.containers import (
    COMPOSE_FILE,
    ComposeEngine,
    ContainerService,
    composed,
    kafka_container,
    missing_for_docker,
    mongo_container,
)

VERBS = ["create", "stop", "start", "kill", "start", "pause", "unpause", "remove"]


class RecordingEngine:
    """Remembers what it was asked to do."""

    def __init__(self) -> None:
        self.verbs: list[str] = []

    def act(self, verb: str) -> None:
        self.verbs.append(verb)


class RecordingDocker:
    """Stands for the Docker engine's client, and for the container that it makes."""

    short_id = "c0ffee"

    def __init__(self) -> None:
        self.verbs: list[str] = []
        self.created: dict[str, Any] = {}
        self.client = self

    def create(self, image: str, **how: Any) -> "RecordingDocker":
        self.verbs.append("create")
        self.created = {"image": image, **how}
        return self

    def start(self, container: "RecordingDocker | None" = None) -> None:
        if container is None:  # the engine's client is told which; the container itself is not
            self.verbs.append("start")

    def remove(self, force: bool, v: bool) -> None:
        assert force
        assert v
        self.verbs.append("remove")

    def __getattr__(self, verb: str) -> Callable[[], None]:
        assert verb in VERBS
        return lambda: self.verbs.append(verb)

    def close(self) -> None:
        """The client's connection, not the container."""


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> RecordingDocker:
    recording = RecordingDocker()
    monkeypatch.setattr(container_module, "DockerClient", lambda **_: recording)
    monkeypatch.setattr(container_module.Reaper, "get_instance", lambda: None)
    monkeypatch.setattr(containers, "brokers_known", lambda host, port: 1)
    monkeypatch.setattr(containers, "answers_ping", lambda uri: True)
    return recording


def put_through_everything(service: ContainerService) -> None:
    service.start()
    service.stop()
    service.start()
    service.kill()
    service.start()
    service.freeze()
    service.thaw()
    service.close()


def test_a_container_is_made_once_and_started_again_afterwards() -> None:
    engine = RecordingEngine()
    put_through_everything(ContainerService(engine, "127.0.0.1:1", lambda: True))
    assert engine.verbs == VERBS


def test_testcontainers_is_asked_for_each_step(docker: RecordingDocker) -> None:
    put_through_everything(kafka_container(compose=False))
    assert docker.verbs == VERBS


def test_kafka_in_a_container_tells_its_clients_the_port_of_this_machine(docker: RecordingDocker) -> None:
    service = kafka_container(compose=False)
    service.start()
    assert docker.created["image"] == composed("kafka", 1)["image"]
    assert docker.created["ports"] == {"9092": int(service.address.split(":")[1])}
    told = docker.created["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert told == f"PLAINTEXT://{service.address}"


def test_mongo_in_a_container_listens_where_clients_are_told(docker: RecordingDocker) -> None:
    service = mongo_container(compose=False)
    service.start()
    assert docker.created["image"] == composed("mongodb", 1)["image"]
    assert docker.created["ports"] == {"27017": int(service.address.split(":")[1])}


def test_compose_is_called_in_a_project_of_its_own() -> None:
    calls: list[tuple[list[str], dict[str, str]]] = []

    def run(argv: Sequence[str], env: Mapping[str, str]) -> None:
        calls.append((list(argv), dict(env)))

    engine = ComposeEngine("kafka", 23456, run)
    for verb in ("create", "stop", "remove"):
        engine.act(verb)
    head = ["docker", "compose", "--file", str(COMPOSE_FILE), "--project-name", "uni4all-kafka-23456"]
    assert [argv for argv, _ in calls] == [
        [*head, "up", "--detach", "kafka"],
        [*head, "stop", "kafka"],
        [*head, "down", "--volumes"],
    ]
    assert all(env == {"BACKING_PORT": "23456"} for _, env in calls)


def test_a_failing_docker_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho no space left >&2\nexit 1\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(RuntimeError, match="no space left"):
        ComposeEngine("kafka", 23456).act("create")
    assert missing_for_docker(compose=False) == "no Docker engine answers"


def test_docker_without_compose_serves_the_tests_but_not_the_demo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\ntest "$1" = version\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert missing_for_docker(compose=False) is None
    assert missing_for_docker(compose=True) == "docker has no compose plugin"


def test_the_compose_file_lets_only_this_machine_in() -> None:
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    for service in services.values():
        assert all(port.startswith("127.0.0.1:${BACKING_PORT:-") for port in service["ports"])


def test_compose_itself_accepts_the_file() -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0
    ):
        pytest.skip("docker has no compose plugin here")
    argv = ["docker", "compose", "--file", str(COMPOSE_FILE), "config", "--quiet"]
    subprocess.run(argv, check=True)
