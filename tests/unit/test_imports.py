"""Imports go one way: schemas ← runtime ← the services ← deploy, loadtest, tests."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import pytest

from deploy.repository import REPOSITORY
from tests.unit.packages import MAY_IMPORT, SERVICES

OURS = {*MAY_IMPORT, "tests"}
ONLY_IN = {
    # The benchmarks compare us with the bare driver.
    "motor": {"runtime/mongo.py", "tests/bench/history_pages.py", "tests/bench/store_rate.py"},
    "pymongo": {"deploy/local/store_process.py", "runtime/mongo.py", "tests/unit/runtime/test_mongo.py"},
    "opentelemetry": {
        "runtime/spans.py",
        "tests/integration/operations/collector.py",
        "tests/unit/runtime/test_spans.py",
        "tests/unit/runtime/traced.py",
    },
}
"""Which files a library's successor would change, tests and all."""

INNER = {"engineio", "pydantic_core"}
"""Parts of python-socketio and of pydantic, which come and go with them."""


def imported_by(source: str) -> Iterator[str]:
    """Yield the top-level packages that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


def wrong_imports(package: str, source: str) -> set[str]:
    return (set(imported_by(source)) & OURS) - MAY_IMPORT[package]


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_stands_before_it(package: str) -> None:
    files = sorted((REPOSITORY / package).rglob("*.py"))
    assert files
    assert {str(file): wrong for file in files if (wrong := wrong_imports(package, file.read_text()))} == {}


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_only_these_files_know_a_library_that_may_be_replaced(library: str) -> None:
    knows = set()
    for file in (file for package in OURS for file in (REPOSITORY / package).rglob("*.py")):
        source = file.read_text()
        # Few of them have the word, and parsing all would take seconds.
        if library in source and library in imported_by(source):
            knows.add(str(file.relative_to(REPOSITORY)))
    assert knows == ONLY_IN[library]


@pytest.mark.parametrize("package", ["schemas", "runtime", *SERVICES])
def test_a_library_is_wanted_for_itself_and_not_only_by_another_one(package: str) -> None:
    """Otherwise it is gone, or another version, once that one has a successor."""
    requirements = (REPOSITORY / "requirements.in").read_text().lower()
    wanted = set(re.findall(r"(?m)^([\w.-]+)(?:\[\w+\])?==", requirements))
    names = packages_distributions()
    unwanted = {
        library: file.name
        for file in (REPOSITORY / package).rglob("*.py")
        for library in {*imported_by(file.read_text())} - OURS - sys.stdlib_module_names - INNER
        if not {name.lower().replace("_", "-") for name in names.get(library, [library])} & wanted
    }
    assert unwanted == {}


def test_the_rule_notices_an_import_between_services() -> None:
    assert wrong_imports("persister", "def f():\n    from edge_server.rooms import Rooms") == {"edge_server"}
    assert wrong_imports("schemas", "import runtime.kafka") == {"runtime"}


def test_no_test_imports_from_another() -> None:
    """What several of them use lies in plain modules."""
    borrowed = re.compile(r"(?m)^from tests\S*\.test_\w+ import ")
    assert [
        str(file) for file in (REPOSITORY / "tests").rglob("*.py") if borrowed.search(file.read_text())
    ] == []
