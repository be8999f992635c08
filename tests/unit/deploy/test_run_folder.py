"""A run's folder goes with it, and that of a killed run when the next one starts."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("fcntl", reason="needs a Unix")

from deploy.local.run_folder import run_folder

PREFIX = "a-run-"
RUN = f"""
from deploy.local.run_folder import run_folder

with run_folder({PREFIX!r}) as folder:
    (folder / "data").write_text("much")
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_it_goes_with_its_run(tmp_path: Path) -> None:
    with run_folder(PREFIX) as folder:
        (folder / "data").write_text("much")
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_goes_and_what_a_living_one_has_stays() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        folder = Path(run.stdout.readline().strip())
        with run_folder(PREFIX):
            assert (folder / "data").exists()
        run.kill()
    assert (folder / "data").exists()
    with run_folder(PREFIX):
        assert not folder.exists()


def test_what_may_be_about_to_be_held_stays(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}new").mkdir()
    (tmp_path / f"{PREFIX}file").touch()
    with run_folder(PREFIX):
        assert {f"{PREFIX}new", f"{PREFIX}file"} < {one.name for one in tmp_path.iterdir()}
