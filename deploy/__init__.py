"""How the system is started, tried and watched: on one machine, by compose files and images, in Kubernetes.

    local/             Kafka, the store and any process on this machine: `make backing`
    demo/              the whole system on this machine, with students in it: `make demo`
    fitness/           fitness functions and load tests on such a system: `make fitness`, `make loadtest`
    prometheus/        what is scraped, the alerts, and a Prometheus of this machine
    grafana/           the dashboards
    kafka/             which jars of Kafka a broker of this machine needs, and what it logs
    audit.py           `make audit`: pinned packages with known vulnerabilities
    edge_addresses.py  a Service and a host for each edge pod, for Kubernetes
    metrics_page.py    the page of all metrics
    repository.py      where the checkout is

Beside them lie the image (Dockerfile) and the compose files; Kubernetes' manifests are in k8s/.

Nothing in here is imported by a service.
"""
