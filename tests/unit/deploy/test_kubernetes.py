"""What runs in Kubernetes agrees with its schemas and with the code: settings, ports, times, rights."""

import os
import re
from itertools import product
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy import edge_addresses
from deploy.prometheus import kubernetes_rule
from deploy.repository import REPOSITORY
from runtime.settings import TracingSettings
from tests.unit.deploy.known_settings import SETTINGS, ports, variables
from tests.unit.deploy.rendered import (
    OVERLAYS,
    each_overlay,
    of_kind,
    resources,
    said,
    with_kubectl,
    workload,
    workloads,
)

pytestmark = with_kubectl

K8S = REPOSITORY / "k8s"
VERSION = "1.33"
"""Of Kubernetes, at least."""
LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
"""A name of DNS, with neither dots nor underscores."""

OF_OPERATORS = {"Kafka", "KafkaNodePool", "KafkaTopic", "MongoDBCommunity"}
OF_MORE_OPERATORS = {"PodMonitor", "PrometheusRule", "ScaledObject"}
"""Kinds that operators bring: Kubernetes' own schemas do not know them."""

NAMES = ("api-gateway", "dispatcher", "edge", "persister")
each_workload = pytest.mark.parametrize(("overlay", "name"), list(product(OVERLAYS, NAMES)))


@each_overlay
def test_kubernetes_takes_everything(overlay: str) -> None:
    unknown = set()
    for one in resources(overlay):
        if one["kind"] in OF_OPERATORS | OF_MORE_OPERATORS:
            unknown.add(one["kind"])
        else:
            kubernetes_validate.validate(one, VERSION, strict=True)
    assert unknown >= OF_OPERATORS


def test_a_field_that_does_not_exist_is_noticed() -> None:
    (service, *_) = of_kind("dev", "Service").values()
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {**service, "spec": {**service["spec"], "prots": []}}, VERSION, strict=True
        )


@each_overlay
def test_each_service_is_there_and_everything_is_in_one_namespace(overlay: str) -> None:
    assert {one.service for one in workloads(overlay)} == set(SETTINGS)
    assert {one.name for one in workloads(overlay)} == set(NAMES)
    spaces = {one["metadata"].get("namespace") for one in resources(overlay) if one["kind"] != "Namespace"}
    assert spaces == set(of_kind(overlay, "Namespace"))


@each_overlay
def test_names_are_such_as_kubernetes_takes_and_its_schemas_do_not_check(overlay: str) -> None:
    for one in workloads(overlay):
        for name in (one.name, one.container["name"], *one.ports):
            assert LABEL.fullmatch(name), name
        assert all(len(port) <= 15 for port in one.ports)
    for name in of_kind(overlay, "Service"):
        assert LABEL.fullmatch(name), name


@each_workload
def test_a_service_is_told_only_what_it_knows_and_all_that_it_needs(overlay: str, name: str) -> None:
    one = workload(overlay, name)
    assert set(one.env) <= variables(one.service)
    needed = {
        field.upper() for field, info in SETTINGS[one.service].model_fields.items() if info.is_required()
    }
    assert needed <= set(one.env)


def test_traces_are_asked_of_every_workload_that_can_make_them(tmp_path: Path) -> None:
    k8s = os.path.relpath(REPOSITORY / "k8s", tmp_path)
    parts = {
        "namespace": "uni4all-chat",
        "resources": [f"{k8s}/overlays/prod"],
        "components": [f"{k8s}/components/tracing"],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(parts))
    told = {
        one.service: {name: value for name, value in one.env.items() if name.startswith("OTEL_")}
        for one in workloads(str(tmp_path))
    }
    for service, variables_told in told.items():
        if issubclass(SETTINGS[service], TracingSettings):
            fields = {name.lower(): value for name, value in variables_told.items()}
            assert set(fields) == set(TracingSettings.model_fields)
            assert 0 < TracingSettings.model_validate(fields).otel_traces_sampler_arg < 0.1
        else:
            assert variables_told == {}


@each_workload
def test_values_are_such_that_the_service_starts(
    overlay: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = workload(overlay, name)
    for variable, value in one.env.items():
        secret = "mongodb://store" if variable == "MONGODB_URI" else "x" * 40
        monkeypatch.setenv(variable, value if isinstance(value, str) else secret)
    SETTINGS[one.service]()


@each_workload
def test_an_image_has_a_tag_so_that_what_a_node_has_is_not_pulled_again(overlay: str, name: str) -> None:
    image, _, tag = workload(overlay, name).container["image"].partition(":")
    assert image == "uni4all-chat"
    assert tag not in ("", "latest")


@each_workload
def test_a_container_listens_where_its_ports_say(overlay: str, name: str) -> None:
    one = workload(overlay, name)
    assert sorted(one.ports.values()) == sorted(ports(one.service).values())
    assert one.ports["ops"] == ports(one.service)["ops_port"]
    paths = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for probe, path in paths.items():
        assert one.container[probe]["httpGet"] == {"path": path, "port": "ops"}


@each_workload
def test_a_service_that_starts_on_a_busy_node_is_left_to_start(overlay: str, name: str) -> None:
    probe = workload(overlay, name).container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 120


@each_workload
def test_a_pod_is_not_killed_before_its_service_gives_up_stopping(overlay: str, name: str) -> None:
    one = workload(overlay, name)
    before_s = one.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert one.pod["terminationGracePeriodSeconds"] >= before_s + float(said(one, "shutdown_deadline_s")) + 5


@each_overlay
def test_an_edge_drains_within_the_time_it_has_to_stop(overlay: str) -> None:
    edge = workload(overlay, "edge")
    drain_s = float(said(edge, "drain_deadline_s"))
    assert 0 < drain_s < float(said(edge, "shutdown_deadline_s"))
    assert edge.pod["terminationGracePeriodSeconds"] > drain_s


@each_workload
def test_a_container_can_write_nothing_and_gain_nothing(overlay: str, name: str) -> None:
    one = workload(overlay, name)
    assert one.container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert one.pod["securityContext"]["runAsNonRoot"] is True
    assert (
        f"USER {one.pod['securityContext']['runAsUser']}:" in (REPOSITORY / "deploy/Dockerfile").read_text()
    )
    assert one.pod["automountServiceAccountToken"] is False
    assert {"requests", "limits"} <= set(one.container["resources"])


@each_workload
def test_selectors_find_the_pods_of_one_workload_and_of_no_other(overlay: str, name: str) -> None:
    one = workload(overlay, name)
    selectors = [
        one.spec["selector"]["matchLabels"],
        *(rule["labelSelector"]["matchLabels"] for rule in one.pod["topologySpreadConstraints"]),
        of_kind(overlay, "PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        found = [other.name for other in workloads(overlay) if selector.items() <= other.labels.items()]
        assert found == [name]


@each_workload
def test_pods_are_spread_beside_their_own_version_and_not_beside_those_that_an_update_replaces(
    overlay: str, name: str
) -> None:
    version = "controller-revision-hash" if name in of_kind(overlay, "StatefulSet") else "pod-template-hash"
    for rule in workload(overlay, name).pod["topologySpreadConstraints"]:
        assert rule["matchLabelKeys"] == [version]


@each_overlay
def test_secrets_are_only_referred_to(overlay: str) -> None:
    assert of_kind(overlay, "Secret") == {}
    secret = {"TOKEN_SECRET", "SERVICE_TOKEN", "DISPATCHER_TOKEN", "MONGODB_URI"}
    for one in workloads(overlay):
        for name in secret & set(one.env):
            assert set(one.env[name]) == {"secretKeyRef"}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("components/monitoring/alerts.yaml", kubernetes_rule.text()),
        ("overlays/prod/edge-addresses.yaml", edge_addresses.text(16, "chat.example.org", tls=True)),
        ("overlays/dev/edge-addresses.yaml", edge_addresses.text(2, "chat.localhost", tls=False)),
    ],
)
def test_a_file_that_is_made_is_as_it_would_be_made_now(file: str, text: str) -> None:
    assert (K8S / file).read_text() == text, text.splitlines()[0]


def test_dev_leaves_most_of_a_small_node_to_the_operators_and_to_kubernetes() -> None:
    asked = 0
    for one in workloads("dev"):
        asked += one.spec["replicas"] * milli_cores(one.container)
    for mongodb in of_kind("dev", "MongoDBCommunity").values():
        (mongod,) = mongodb["spec"]["statefulSet"]["spec"]["template"]["spec"]["containers"]
        asked += mongodb["spec"]["members"] * milli_cores(mongod)
    for pool in of_kind("dev", "KafkaNodePool").values():
        asked += pool["spec"]["replicas"] * milli_cores(pool["spec"])
    assert asked <= 1000


def milli_cores(part: dict[str, Any]) -> int:
    """Return what a part requests of a node's cores."""
    asked = str(part["resources"]["requests"]["cpu"])
    return int(asked[:-1]) if asked.endswith("m") else 1000 * int(asked)


def test_every_overlay_is_tested() -> None:
    assert sorted(path.name for path in (K8S / "overlays").iterdir()) == sorted(OVERLAYS)
