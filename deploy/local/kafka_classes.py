"""``python -m deploy.local.kafka_classes``: makes Java's archive of the broker's classes, for faster starts.

Java itself ignores an archive of another Java version or of other jars.
"""

import signal
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from deploy.local.kafka_native import CLASSES, missing_for_native_kafka, plan_cluster
from deploy.local.signals import interrupt_on_signals

KEEP_DEADLINE_S = 120.0


def main() -> None:
    """Start and stop a broker, and keep its loaded classes. Brokers also start without the archive."""
    if missing_for_native_kafka() is not None:
        return
    CLASSES.unlink(missing_ok=True)
    interrupt_on_signals()
    print("letting Java keep the broker's classes", flush=True)
    with tempfile.TemporaryDirectory() as name:
        try:
            _keep(Path(name))
        except (RuntimeError, OSError) as error:
            print(f"not kept, brokers will start later for it: {error}", file=sys.stderr)


def _keep(folder: Path) -> None:
    kept = CLASSES.with_suffix(".new")
    (broker,) = plan_cluster(folder, brokers=1)
    broker.argv.insert(1, f"-XX:ArchiveClassesAtExit={kept}")
    try:
        broker.start()
    finally:
        broker.stop(KEEP_DEADLINE_S)
    # A killed broker leaves a partial archive, with which Java crashes.
    if broker.returncode != -signal.SIGKILL and kept.exists():
        kept.replace(CLASSES)


if __name__ == "__main__":
    ArgumentParser(prog="python -m deploy.local.kafka_classes", description=__doc__).parse_args()
    main()
