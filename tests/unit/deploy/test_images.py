"""The image and the compose files name only what exists: paths, services, variables and ports of the code."""

import asyncio
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from deploy.local.containers import composed
from deploy.local.ports import free_ports
from deploy.repository import REPOSITORY
from runtime.health import Health
from runtime.service import Service, running
from runtime.settings import ServiceSettings, TracingSettings
from tests.unit.deploy.composed import COMPOSE, DEPLOY, DEV
from tests.unit.deploy.known_settings import SETTINGS, ports, variables

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
TRACED: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.tracing.yaml").read_text())
OURS = {name: one for name, one in COMPOSE["services"].items() if one["image"] == "uni4all-chat"}

each_of_ours = pytest.mark.parametrize("name", sorted(OURS))


def copied() -> list[list[str]]:
    """Return the arguments of what the image copies from the repository."""
    found = re.findall(r"(?m)^COPY (?!--from)(.+)$", DOCKERFILE)
    return [line.split() for line in found]


def image_environment() -> dict[str, str]:
    (block,) = re.findall(r"(?m)^ENV ((?:.*\\\n)*.*)$", DOCKERFILE)
    return dict(pair.split("=", 1) for pair in shlex.split(block.replace("\\\n", " ")))


def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint has no build for this kind of machine")
    done = subprocess.run(
        [hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("service", sorted(SETTINGS))
def test_a_service_starts_with_nothing_but_what_the_image_copies(service: str, tmp_path: Path) -> None:
    for *sources, target in copied():
        if target != ".":
            shutil.copytree(
                REPOSITORY / sources[0], tmp_path / target, ignore=shutil.ignore_patterns("__pycache__")
            )
    started = [sys.executable, "-m", service, "--help"]
    done = subprocess.run(
        started, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60, env={}
    )
    assert done.returncode == 0, done.stderr
    assert "KAFKA_BOOTSTRAP_SERVERS" in done.stdout


def test_the_engine_is_sent_all_that_the_image_copies_and_no_more() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    assert ignored[1] == "*"
    assert sent == {source for *sources, _ in copied() for source in sources}


def test_packages_are_installed_by_their_hashes_and_nothing_runs_as_root() -> None:
    assert "--require-hashes" in DOCKERFILE
    assert not re.search(r"pip install (?!.*--require-hashes)", DOCKERFILE)
    *_, (user, group) = re.findall(r"(?m)^USER (\d+):(\d+)$", DOCKERFILE)
    assert int(user) > 0
    assert int(group) > 0
    assert DOCKERFILE.rindex("USER ") > DOCKERFILE.rindex("RUN ")
    assert not re.search(r"(?m)^FROM \S+:latest|^FROM [^:\s]+( |$)", DOCKERFILE)


def test_a_service_is_not_process_1_which_would_miss_a_sigterm_before_it_listens_for_it() -> None:
    (entrypoint,) = re.findall(r"(?m)^ENTRYPOINT (\[.+\])$", DOCKERFILE)
    init, *started = json.loads(entrypoint)
    assert started == ["--", "python", "-m"]
    *_, last_stage = DOCKERFILE.split("\nFROM ")
    assert re.search(rf"apt-get install .*'{init}=", last_stage)
    assert not any("entrypoint" in one for compose in (COMPOSE, DEV) for one in compose["services"].values())


def test_the_image_sets_only_variables_that_a_service_knows() -> None:
    known = set().union(*(variables(service) for service in SETTINGS))
    of_python = {"PATH", "PYTHONDONTWRITEBYTECODE"}
    assert set(image_environment()) - of_python <= known
    assert of_python <= set(image_environment())
    assert image_environment()["LOG_DIR"] == "", "a read-only root has no place for files"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_what_listens_in_the_image_is_reached_by_ipv4_and_by_ipv6(address: str) -> None:
    told = {name: value for name, value in image_environment().items() if name.endswith("_HOST")}
    assert set(told) == {
        name for service in SETTINGS for name in variables(service) if name.endswith("_HOST")
    }
    try:
        socket.create_server(
            (address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET
        ).close()
    except OSError:
        pytest.skip("this machine has no such addresses")
    (host,) = set(told.values())
    (port,) = free_ports(1)
    service = Service("any", ServiceSettings(ops_host=host, ops_port=port))
    async with running(service, Service.open_ops):
        assert service.started
        _, writer = await asyncio.open_connection(address, port)
        writer.close()


def test_the_image_exposes_the_ports_at_which_services_listen() -> None:
    (exposed,) = re.findall(r"(?m)^EXPOSE (.+)$", DOCKERFILE)
    listened = {port for service in SETTINGS for port in ports(service).values()}
    assert {int(port) for port in exposed.split()} == listened
    assert int(image_environment()["OPS_PORT"]) in listened


async def test_the_health_check_asks_the_service_itself_whatever_proxy_a_container_is_given() -> None:
    (command,) = re.findall(r"HEALTHCHECK (?:.*\\\n)*\s+CMD (\[.+\])", DOCKERFILE)
    _, *arguments = json.loads(command)
    (port,) = free_ports(1)
    environment = {"OPS_PORT": str(port), "http_proxy": "http://127.0.0.1:1"}

    async def exit_status() -> int:
        asked = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=environment, stderr=asyncio.subprocess.DEVNULL
        )
        return await asked.wait()

    assert await exit_status() != 0, "nobody listens"
    fault: str | None = None
    ops = web.Application()
    Health("any", lambda: fault, lambda: None).add_routes(ops)
    runner = web.AppRunner(ops)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    assert await exit_status() == 0
    fault = "a task: died"
    assert await exit_status() != 0
    await runner.cleanup()


@each_of_ours
def test_a_container_of_ours_runs_a_service_that_knows_all_that_it_is_told(name: str) -> None:
    one = OURS[name]
    (service,) = one["command"]
    assert set(one["environment"]) <= variables(service)
    required = {field.upper() for field, info in SETTINGS[service].model_fields.items() if info.is_required()}
    assert required <= set(one["environment"])


def test_traces_are_asked_of_every_container_that_can_make_them() -> None:
    told = {name: one["environment"] for name, one in TRACED["services"].items() if "environment" in one}
    can = {name for name, one in OURS.items() if issubclass(SETTINGS[one["command"][0]], TracingSettings)}
    assert set(told) == can
    for environment in told.values():
        assert set(environment) <= {name.upper() for name in TracingSettings.model_fields}


@each_of_ours
def test_a_container_of_ours_can_write_nothing_and_gain_nothing(name: str) -> None:
    one = OURS[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in one


@each_of_ours
def test_a_container_is_not_killed_before_its_service_gives_up_stopping(name: str) -> None:
    one = OURS[name]
    deadline_s = SETTINGS[one["command"][0]].model_fields["shutdown_deadline_s"].get_default()
    assert int(one["stop_grace_period"].removesuffix("s")) > deadline_s


@each_of_ours
def test_only_ports_for_clients_are_open_to_others(name: str) -> None:
    (service,) = OURS[name]["command"]
    listened = ports(service)
    for published in OURS[name].get("ports", []):
        *host, _, port = published.split(":")
        public = {listened.get("public_port"), listened.get("edge_port")}
        assert int(port) in public or (host == ["127.0.0.1"] and int(port) in listened.values())


def test_operators_reach_the_page_of_every_dispatcher_where_its_name_says() -> None:
    dispatchers = [one for one in OURS.values() if one["command"] == ["dispatcher"]]
    names = [one["environment"]["DISPATCHER_NAME"] for one in dispatchers]
    assert len(set(names)) == len(names) >= 2
    for one, name in zip(dispatchers, names, strict=True):
        assert one["ports"] == [f"{name}:{ports('dispatcher')['ops_port']}"]


def test_every_edge_has_a_name_and_a_url_of_its_own_that_leads_to_it() -> None:
    edges = [one for one in OURS.values() if one["command"] == ["edge_server"]]
    assert len(edges) >= 2
    assert len({one["environment"]["EDGE_NAME"] for one in edges}) == len(edges)
    for one in edges:
        host_port = one["environment"]["EDGE_URL"].rsplit(":", 1)[1]
        assert one["ports"] == [f"{host_port}:{ports('edge_server')['edge_port']}"]


def test_secrets_are_asked_for_and_never_stand_in_a_file() -> None:
    secret = {"TOKEN_SECRET", "SERVICE_TOKEN", "DISPATCHER_TOKEN"}
    for one in OURS.values():
        for name in secret & set(one["environment"]):
            assert one["environment"][name].startswith(f"${{{name}:?")


def test_prometheus_scrapes_every_container_of_ours_at_its_ops_port() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())
    scraped = {
        (job["job_name"], target)
        for job in config["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    port = image_environment()["OPS_PORT"]
    assert scraped == {(one["command"][0], f"{name}:{port}") for name, one in OURS.items()}


def mounts(compose: dict[str, Any]) -> Iterator[str]:
    """Yield the paths of this repository that containers are given."""
    for one in compose["services"].values():
        for volume in one.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                yield source
        yield from (step["path"] for step in one.get("develop", {}).get("watch", []))


@pytest.mark.parametrize("compose", [COMPOSE, DEV], ids=["compose.yaml", "compose.dev.yaml"])
def test_every_path_that_is_mounted_or_watched_exists(compose: dict[str, Any]) -> None:
    paths = set(mounts(compose))
    assert paths
    assert {path for path in paths if not (DEPLOY / path).exists()} == set()


def test_backing_services_are_those_of_the_tests() -> None:
    for service in ("kafka", "mongodb"):
        assert COMPOSE["services"][service]["image"] == composed(service, 1)["image"]


def test_developers_get_every_service_of_ours_restarted_when_its_code_changes() -> None:
    assert set(DEV["services"]) - {"kafka", "mongodb"} == set(OURS)
    for name, one in DEV["services"].items():
        if name in OURS:
            watched = {step["path"] for step in one["develop"]["watch"]}
            assert watched == {"../schemas", "../runtime", f"../{OURS[name]['command'][0]}"}
            assert {volume.split(":")[0] for volume in one["volumes"]} >= watched
    named = set(re.findall(r"(?m)^(\w+)=", (DEPLOY / "compose.dev.env").read_text()))
    assert named == set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
