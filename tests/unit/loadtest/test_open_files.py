"""A limit of open files is raised as far as it can be, and never lowered."""

import resource
from collections.abc import Iterator

import pytest

from loadtest.open_files import allow_open_files

LOW = 300
"""Enough for the tests' own files meanwhile."""


@pytest.fixture(autouse=True)
def hard() -> Iterator[int]:
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or min(soft, hard) < 2 * LOW:
        pytest.skip("needs a limit that can be lowered and raised")
    resource.setrlimit(resource.RLIMIT_NOFILE, (LOW, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("wanted", "allowed"), [(LOW + 1, LOW + 1), (LOW, LOW), (LOW - 1, LOW)])
def test_it_is_raised_and_never_lowered(wanted: int, allowed: int, hard: int) -> None:
    assert allow_open_files(wanted) == allowed
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (allowed, hard)


def test_more_than_the_machine_allows_is_as_much_as_it_allows(hard: int) -> None:
    assert allow_open_files(hard + 1) == hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
