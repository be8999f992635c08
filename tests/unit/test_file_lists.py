"""A package that lists its files lists all of them, and no other: readers look there first."""

import ast
import re
from pathlib import Path

import pytest

from deploy.repository import REPOSITORY
from tests.unit.packages import MAY_IMPORT


def listed(package: Path) -> set[str]:
    """Return the files that a package's docstring names at the beginning of a line, or in its sentences."""
    said = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    return set(re.findall(r"\b\w+\.py\b", said)) if re.search(r"(?m)^ *\w+\.py  ", said) else set()


def files_of(package: Path) -> set[str]:
    """Return the files that a list may not leave out."""
    found = {file.name for file in package.glob("*.py")}
    return {name for name in found if not name.startswith(("__", "test_", "conftest"))}


FOLDERS = [
    init.parent for top in (*MAY_IMPORT, "tests") for init in sorted((REPOSITORY / top).rglob("__init__.py"))
]
WITH_A_LIST = [folder for folder in FOLDERS if listed(folder)]


def test_every_package_but_those_of_tests_lists_its_files() -> None:
    tests = REPOSITORY / "tests"
    assert {folder for folder in FOLDERS if tests not in (folder, *folder.parents)} <= set(WITH_A_LIST)


@pytest.mark.parametrize("package", WITH_A_LIST, ids=lambda package: str(package.relative_to(REPOSITORY)))
def test_a_list_of_files_is_complete(package: Path) -> None:
    assert listed(package) - {"__main__.py"} == files_of(package), "its __init__.py lists them"
