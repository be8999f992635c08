"""``python -m deploy.prometheus.kubernetes_rule``: print the alerts as Prometheus' operator takes them."""

from argparse import ArgumentParser

import yaml

from deploy.prometheus.local_prometheus import ALERTS


def text() -> str:
    """Return the file: the same groups, wrapped."""
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "chat"},
        "spec": yaml.safe_load(ALERTS.read_text()),
    }
    body = yaml.safe_dump(rule, sort_keys=False, width=110)
    return f"# Made of deploy/prometheus/alerts.yaml by: python -m deploy.prometheus.kubernetes_rule\n{body}"


if __name__ == "__main__":
    ArgumentParser(prog="python -m deploy.prometheus.kubernetes_rule", description=__doc__).parse_args()
    print(text(), end="")
