"""Who reaches whom in Kubernetes: services, hosts and policies lead to ports that exist, and to no others."""

from collections.abc import Iterator

from deploy import edge_addresses
from tests.unit.deploy.known_settings import ports
from tests.unit.deploy.rendered import each_overlay, most, of_kind, with_kubectl, workload, workloads

pytestmark = with_kubectl


@each_overlay
def test_every_service_leads_to_a_port_that_its_pods_have(overlay: str) -> None:
    pod_name = "statefulset.kubernetes.io/pod-name"
    for name, one in of_kind(overlay, "Service").items():
        selector = dict(one["spec"]["selector"])
        if selector.pop(pod_name, None) is not None:
            targets = [workload(overlay, "edge")]
        else:
            targets = [other for other in workloads(overlay) if selector.items() <= other.labels.items()]
        assert len(targets) == 1, name
        for port in one["spec"]["ports"]:
            assert targets[0].ports[port["targetPort"]] == port["port"]


@each_overlay
def test_every_host_leads_to_a_service_and_the_internal_api_and_ops_ports_to_none(overlay: str) -> None:
    services = of_kind(overlay, "Service")
    reached = set()
    for one in of_kind(overlay, "Ingress").values():
        for rule in one["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                named = {port["name"] for port in services[backend["name"]]["spec"]["ports"]}
                assert backend["port"]["name"] in named
                reached.add(backend["port"]["name"])
    assert reached == {"public", "clients"}


@each_overlay
def test_the_location_of_an_edge_reaches_that_very_pod(overlay: str) -> None:
    edge = workload(overlay, "edge")
    variables_in_order = [one["name"] for one in edge.container["env"]]
    assert variables_in_order.index("EDGE_NAME") < variables_in_order.index("EDGE_URL"), (
        "else it is not filled in"
    )
    assert edge.env["EDGE_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    scheme, host = edge.env["EDGE_URL"].split("://")
    ingress = of_kind(overlay, "Ingress")["edges"]["spec"]
    assert (scheme == "https") == ("tls" in ingress)
    rules = {
        rule["host"]: rule["http"]["paths"][0]["backend"]["service"]["name"] for rule in ingress["rules"]
    }
    for number in range(most(overlay, "edge")):
        pod = f"{edge.name}-{number}"
        service = of_kind(overlay, "Service")[rules[host.replace("$(EDGE_NAME)", pod)]]
        assert service["spec"]["selector"]["statefulset.kubernetes.io/pod-name"] == pod


def open_ports(overlay: str) -> Iterator[tuple[str, str]]:
    """Yield who may reach which of our named ports: (workload, port)."""
    for policy in of_kind(overlay, "NetworkPolicy").values():
        labels = policy["spec"]["podSelector"]["matchLabels"]
        for one in workloads(overlay):
            if labels.items() <= one.labels.items():
                for rule in policy["spec"].get("ingress", []):
                    assert rule["from"], "an empty source is everybody"
                    for port in rule["ports"]:
                        yield one.name, port["port"]


@each_overlay
def test_what_no_policy_names_is_closed(overlay: str) -> None:
    nobody = of_kind(overlay, "NetworkPolicy")["nobody"]["spec"]
    for one in workloads(overlay):
        assert nobody["podSelector"]["matchLabels"].items() <= one.labels.items()
    assert nobody["policyTypes"] == ["Ingress"]
    assert "ingress" not in nobody
    reached = set(open_ports(overlay))
    assert {name for name, port in reached if port == "ops"} == {one.name for one in workloads(overlay)}
    assert reached >= {("edge", "clients"), ("api-gateway", "public"), ("api-gateway", "internal")}
    for name, port in reached:
        assert port == "ops" or port in workload(overlay, name).ports


def test_prometheus_gives_each_pod_the_job_that_alerts_and_dashboards_ask_for() -> None:
    (endpoint,) = of_kind("prod", "PodMonitor")["chat"]["spec"]["podMetricsEndpoints"]
    sources = {one["targetLabel"]: one["sourceLabels"] for one in endpoint["relabelings"]}
    assert sources["job"] == ["__meta_kubernetes_pod_label_app_kubernetes_io_name"]
    for one in workloads("prod"):
        assert one.labels["app.kubernetes.io/name"] == one.service
        assert endpoint["port"] in one.ports


def test_an_edge_s_address_has_the_port_at_which_edges_listen() -> None:
    assert ports("edge_server")["edge_port"] == edge_addresses.PORT
