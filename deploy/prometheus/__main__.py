"""``python -m deploy.prometheus``: watch a running ``make demo`` with the Prometheus of this machine.

It scrapes the ports that the demo prefers, and runs until Ctrl-C or its end. What it stored goes with it.
"""

import argparse
import sys

from deploy.demo.environment import FIRST_EDGE_OPS_PORT, OPS_PORTS
from deploy.local.ports import HOST
from deploy.local.processes import watch
from deploy.local.run_folder import run_folder
from deploy.local.signals import interrupt_on_signals
from deploy.prometheus.local_prometheus import Targets, is_installed, local_prometheus


def demo_targets(edges: int) -> Targets:
    """Return where the services of a demo with so many edges show their metrics."""
    targets = {service: [f"{HOST}:{port}"] for service, port in OPS_PORTS.items()}
    return {**targets, "edge_server": [f"{HOST}:{FIRST_EDGE_OPS_PORT + n}" for n in range(edges)]}


def main() -> int:
    """Run until a signal comes, or Prometheus ends. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.prometheus", description=__doc__)
    parser.add_argument("--edges", type=int, default=2, help="how many edges (default: %(default)s)")
    arguments = parser.parse_args()
    if not is_installed():
        print("there is no Prometheus here (Debian's package prometheus)", file=sys.stderr)
        return 1
    interrupt_on_signals()
    try:
        with (
            run_folder("uni4all-chat-prometheus-") as folder,
            local_prometheus(folder, demo_targets(arguments.edges)) as prometheus,
        ):
            print(f"Prometheus: {prometheus.where}  alerts: {prometheus.where}/alerts", flush=True)
            watch([prometheus])
    except KeyboardInterrupt:
        return 0
    except (RuntimeError, OSError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
