"""The Makefile explains itself: `make` alone lists every target that is meant for people."""

import re
import shutil
import subprocess

import pytest

from deploy.repository import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def test_make_alone_lists_every_target_with_what_it_does() -> None:
    listed = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"(?m)^\.PHONY: ([\w-]+)$", (REPOSITORY / "Makefile").read_text())
    assert {"setup", "demo", "test", "lint", "bench"} <= set(targets)
    assert len(targets) == len(set(targets)), "a target that stands twice is only its last rule"
    for target in set(targets) - {"help"}:
        assert re.search(rf"(?m)^  make {target} +\S", listed), f"make {target} is not listed"
