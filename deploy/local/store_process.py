"""SecantusDB, a server that speaks MongoDB's protocol, as a process of this machine.

It creates no collections and no indexes.
"""

import importlib.util
import sys
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local.ports import HOST, free_ports
from deploy.local.service import BackingProcess

START_DEADLINE_S = 60.0
PROBE_TIMEOUT_MS = 500


class StoreProcess(BackingProcess):
    """One store process that keeps its port and its data over stop, kill and start."""

    def __init__(self, data_dir: Path) -> None:
        [port] = free_ports(1)
        self._folder = data_dir / "store"
        super().__init__(
            "store",
            _argv(port, self._folder),
            where=f"{HOST}:{port}",
            start_deadline_s=START_DEADLINE_S,
            log_file=self._folder / "store.log",
            cwd=self._folder,
        )

    def launch(self) -> None:
        """Make the folder and an empty configuration, and start: given one, it looks for no other."""
        self._folder.mkdir(parents=True, exist_ok=True)
        _config_file(self._folder).write_text("")
        super().launch()

    def is_ready(self) -> bool:
        """Whether it serves clients now."""
        return answers_ping(mongodb_uri(self.address))


def mongodb_uri(address: str) -> str:
    """Return the URI for MongoDB clients of a single server at `address`."""
    return f"mongodb://{address}/?directConnection=true"


def answers_ping(uri: str) -> bool:
    """Return whether a MongoDB server answers at `uri`, within half a second."""
    client: MongoClient[dict[str, object]] = MongoClient(
        uri, serverSelectionTimeoutMS=PROBE_TIMEOUT_MS, connect=False
    )
    with client:
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
    return True


def missing_for_store() -> str | None:
    """Return why the store cannot run here; None if it can."""
    if importlib.util.find_spec("secantus") is None:
        return "the package secantusdb is not installed (make setup brings it, for Python up to 3.13)"
    return None


def _argv(port: int, folder: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "secantus",
        *("--config", str(_config_file(folder))),
        *("--host", HOST),
        *("--port", str(port)),
        *("--storage-path", str(folder / "data")),
        *("--cache-size", "256M"),
        # Without it a kill -9 loses acknowledged writes, even those with w=majority, which
        # MongoDB's own server would keep. It costs a fifth of the write rate.
        "--sync-on-commit",
        *("--log-level", "WARNING"),
    ]


def _config_file(folder: Path) -> Path:
    return folder / "secantusd.toml"
