"""How the system is started: locally by the runner, elsewhere by compose files and images.

    audit.py           `make audit`: pinned packages with known vulnerabilities
    edge_addresses.py  a Service and a host for each edge pod, for Kubernetes
    metrics_page.py    the page of all metrics

Nothing in here is imported by a service.
"""
