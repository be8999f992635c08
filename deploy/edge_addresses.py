"""``python -m deploy.edge_addresses``: print a Service and a host for each edge pod, for Kubernetes.

``/chat/location`` must lead to one pod: edge-0 is ``edge-0.DOMAIN``, without a load balancer in between.
"""

import argparse
from typing import Any, Final

import yaml

STATEFUL_SET: Final = "edge"
PORT_NAME: Final = "clients"
PORT: Final = 5001
LABELS: Final = {"app.kubernetes.io/name": "edge_server", "app.kubernetes.io/part-of": "uni4all-chat"}
TLS_SECRET: Final = "chat-edges-tls"  # noqa: S105 - the name of a secret, by which it is referred to


def pods(edges: int) -> list[str]:
    """Return the names of the pods; they are the edges' names."""
    return [f"{STATEFUL_SET}-{number}" for number in range(edges)]


def service(pod: str) -> dict[str, Any]:
    """Return the Service of one pod. It keeps a draining pod's address: its clients are still there."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": pod, "labels": LABELS},
        "spec": {
            "selector": {"statefulset.kubernetes.io/pod-name": pod},
            "publishNotReadyAddresses": True,
            "ports": [{"name": PORT_NAME, "port": PORT, "targetPort": PORT_NAME}],
        },
    }


def ingress(names: list[str], domain: str, *, tls: bool) -> dict[str, Any]:
    """Return the Ingress with a host for each pod. Connections live for hours: proxies must not cut them."""
    hosts = [f"{pod}.{domain}" for pod in names]
    spec: dict[str, Any] = {
        "ingressClassName": "nginx",
        "rules": [_rule(host, pod) for host, pod in zip(hosts, names, strict=True)],
    }
    if tls:
        spec["tls"] = [{"hosts": [f"*.{domain}"], "secretName": TLS_SECRET}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": "edges",
            "labels": LABELS,
            "annotations": {
                "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
                "nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
                "nginx.ingress.kubernetes.io/proxy-body-size": "2m",
            },
        },
        "spec": spec,
    }


def _rule(host: str, pod: str) -> dict[str, Any]:
    backend = {"service": {"name": pod, "port": {"name": PORT_NAME}}}
    return {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}


def text(edges: int, domain: str, *, tls: bool) -> str:
    """Return the file."""
    arguments = f"--edges {edges} --domain {domain}{' --tls' if tls else ''}"
    documents = [*map(service, pods(edges)), ingress(pods(edges), domain, tls=tls)]
    dumper = type("Plain", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    body = yaml.dump_all(documents, Dumper=dumper, sort_keys=False)
    return f"# Made by: python -m deploy.edge_addresses {arguments}\n{body}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m deploy.edge_addresses", description=__doc__)
    parser.add_argument("--edges", type=int, required=True, help="how many pods there may be")
    parser.add_argument("--domain", required=True, help="edge-0 is edge-0.DOMAIN")
    parser.add_argument("--tls", action="store_true", help=f"with the certificate in the secret {TLS_SECRET}")
    given = parser.parse_args()
    print(text(given.edges, given.domain, tls=given.tls), end="")
