"""Pages with commands name only what exists: metrics, settings, workloads, modules; commands parse."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.metrics_page import name_of, rows
from deploy.repository import REPOSITORY
from tests.unit.deploy.composed import COMPOSE
from tests.unit.deploy.known_settings import SETTINGS, variables
from tests.unit.deploy.prometheus import series_names
from tests.unit.deploy.rendered import of_kind, with_kubectl

DOCS = REPOSITORY / "docs"
RUNBOOKS = DOCS / "operating" / "runbooks"
OTHERS = ("kubernetes.md", "dashboards.md", "changing-the-code.md")
PAGES = sorted([*(DOCS / "operating").rglob("*.md"), *(DOCS / name for name in OTHERS)])
OF_COMPOSE = {"PUBLIC_HOST", "TRACED_PART"}
KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "scaledobject": "ScaledObject"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def commands(page: Path) -> list[str]:
    """Return the page's blocks of commands."""
    return re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)


@each_page
def test_a_page_names_only_metrics_that_exist(page: Path) -> None:
    named = set(re.findall(r"\bchat_\w+", page.read_text()))
    # Nobody is to look for the name of a histogram at night: Prometheus knows only its parts.
    of_histograms = set() if page.parent == RUNBOOKS else {name_of(row) for row in rows()}
    assert named <= series_names() | of_histograms


@each_page
def test_a_page_names_only_settings_that_exist(page: Path) -> None:
    named = set(re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`", page.read_text()))
    known = set().union(*(variables(service) for service in SETTINGS)) | OF_COMPOSE
    gone = named - known
    if page.stem == "changes":
        said = page.read_text().partition("- Gone, and ignored")[2].partition("\n\n")[0]
        gone -= set(re.findall(r"`([A-Z0-9_]+)`", said))
    assert not gone


@with_kubectl
@each_page
def test_a_page_names_only_workloads_that_exist(page: Path) -> None:
    text = page.read_text()
    for kind, name in re.findall(r"\b(deployment|statefulset|scaledobject)/([a-z-]+)", text):
        assert name in of_kind("prod", KINDS[kind]), f"{kind}/{name}"


@each_page
def test_a_page_names_only_containers_of_compose_that_exist(page: Path) -> None:
    for command in re.findall(
        r"docker compose [^\n]*?(?:stop|exec|--no-deps) ([a-z0-9-]+)", page.read_text()
    ):
        assert command in COMPOSE["services"]


@each_page
def test_a_page_names_only_modules_and_files_that_exist(page: Path) -> None:
    text = page.read_text()
    for module in re.findall(r"python -m ([a-z_.]+[a-z_])", text):
        assert importlib.util.find_spec(module) is not None, module
    for path in re.findall(r"\b(?:deploy|k8s|docs/operating)/[\w./-]+\w", text):
        assert (REPOSITORY / path).exists(), path


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_the_commands_of_a_page_are_such_that_a_shell_takes_them(page: Path) -> None:
    for block in commands(page):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@each_page
def test_a_page_begins_with_its_title(page: Path) -> None:
    assert page.read_text().startswith("# ")
