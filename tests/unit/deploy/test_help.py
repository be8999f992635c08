"""A command that is asked for help gives it, and does nothing else: some write files, or ask the network."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "deploy.audit",
        "deploy.grafana.dashboards",
        "deploy.local.kafka_classes",
        "deploy.metrics_page",
        "deploy.prometheus.kubernetes_rule",
    ],
)
def test_help_is_all_that_is_done(module: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(f"usage: python -m {module} [-h]\n")
