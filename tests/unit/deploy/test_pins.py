"""What is installed is pinned with hashes, the same on every machine, and free of any one machine's ways."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from deploy.local.containers import composed
from deploy.repository import REPOSITORY

COMPILED = ["requirements.txt", "requirements-dev.txt"]


def pins(name: str) -> dict[str, str]:
    text = (REPOSITORY / name).read_text()
    return {found[1].lower(): found[2] for found in re.finditer(r"(?m)^([\w.-]+)==(\S+)", text)}


@pytest.mark.parametrize("name", COMPILED)
def test_every_requirement_has_a_hash(name: str) -> None:
    text = (REPOSITORY / name).read_text()
    requirements = re.split(r"(?m)^(?=[\w.-]+==)", text)[1:]
    assert requirements
    for requirement in requirements:
        assert "--hash=sha256:" in requirement, requirement.splitlines()[0]


@pytest.mark.parametrize(
    "name", [*COMPILED, "requirements.in", "requirements-dev.in", "deploy/kafka/pom.xml"]
)
def test_no_requirement_names_a_host_or_a_folder_of_one_machine(name: str) -> None:
    text = (REPOSITORY / name).read_text().replace("http://maven.apache.org/POM/4.0.0", "")
    assert not re.search(
        r"://|--index-url|--find-links|--trusted-host|(?<![\w.])/(opt|home|root|work)/", text
    )


def test_tests_run_against_the_versions_of_production() -> None:
    production, development = map(pins, COMPILED)
    assert production
    assert production.items() <= development.items()


def test_every_wanted_requirement_is_compiled() -> None:
    for name in ("requirements", "requirements-dev"):
        wanted = re.findall(r"(?m)^([\w.-]+)(?:\[\w+\])?==", (REPOSITORY / f"{name}.in").read_text())
        assert wanted
        assert {one.lower().replace("_", "-") for one in wanted} <= set(pins(f"{name}.txt"))


def test_kafka_is_the_same_by_every_way() -> None:
    pom = ET.parse(Path(REPOSITORY, "deploy/kafka/pom.xml")).getroot()  # noqa: S314 - our own file
    version = pom.findtext(".//{*}kafka.version")
    assert f"apache/kafka:{version}" == composed("kafka", 1)["image"]
