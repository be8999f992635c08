"""``python -m deploy.prometheus``: watch a running ``make demo`` with the Prometheus of this machine.

It scrapes the ports that the demo prefers, and runs until Ctrl-C.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.demo.environment import FIRST_EDGE_OPS_PORT, HOST, OPS_PORTS
from deploy.prometheus.local_prometheus import Targets, is_installed, local_prometheus


def demo_targets(edges: int) -> Targets:
    """Return where the services of a demo with so many edges show their metrics."""
    targets = {service: [f"{HOST}:{port}"] for service, port in OPS_PORTS.items()}
    return {**targets, "edge_server": [f"{HOST}:{FIRST_EDGE_OPS_PORT + n}" for n in range(edges)]}


def main() -> int:
    """Run until a signal comes. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.prometheus", description=__doc__)
    parser.add_argument("--edges", type=int, default=2, help="how many edges (default: %(default)s)")
    asked = parser.parse_args()
    if not is_installed():
        print("there is no Prometheus here (Debian's package prometheus)", file=sys.stderr)
        return 1
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with (
        TemporaryDirectory(prefix="uni4all-chat-prometheus-") as folder,
        local_prometheus(Path(folder), demo_targets(asked.edges)) as prometheus,
    ):
        print(f"Prometheus: {prometheus.url}  alerts: {prometheus.url}/alerts", flush=True)
        stopping.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
