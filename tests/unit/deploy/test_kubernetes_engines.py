"""Kafka, MongoDB and the numbers of pods in Kubernetes agree with what the services count on."""

from pathlib import Path

import pytest
import yaml

from schemas import topics
from tests.unit.deploy.prometheus import promtool, with_promtool
from tests.unit.deploy.rendered import each_overlay, most, of_kind, said, with_kubectl, workload

pytestmark = with_kubectl


@each_overlay
def test_no_persister_would_be_without_a_partition(overlay: str) -> None:
    persister = workload(overlay, "persister")
    assert most(overlay, "persister") <= int(said(persister, "kafka_partitions"))
    for one in of_kind(overlay, "ScaledObject").values():
        trigger = one["spec"]["triggers"][0]["metadata"]
        if one["spec"]["scaleTargetRef"]["name"] == "persister":
            assert "topic" not in trigger, "KEDA would look at one topic, and at one generation of it"
            assert trigger["consumerGroup"] == said(persister, "persister_group")
            assert trigger["bootstrapServers"].startswith(
                said(persister, "kafka_bootstrap_servers").split(":")[0]
            )


@each_overlay
def test_topics_are_as_the_services_make_them(overlay: str) -> None:
    edge = workload(overlay, "edge")
    partitions, replicas = int(said(edge, "kafka_partitions")), int(said(edge, "kafka_replication_factor"))
    found = of_kind(overlay, "KafkaTopic")
    assert set(found) == set(topics.ALL), "k8s/base/topics.yaml has them"
    for name, topic in topics.ALL.items():
        spec = found[name]["spec"]
        assert spec["partitions"] == topic.partitions(partitions)
        assert spec["replicas"] == replicas
        config = {key: str(value) for key, value in spec["config"].items()}
        assert config.pop("min.insync.replicas") == ("2" if replicas >= 3 else "1")
        assert config == topic.config


@each_overlay
def test_kafka_keeps_its_promises_with_one_broker_less(overlay: str) -> None:
    brokers = of_kind(overlay, "KafkaNodePool")["broker"]["spec"]["replicas"]
    kafka = of_kind(overlay, "Kafka")["chat"]["spec"]["kafka"]
    config = kafka["config"]
    assert config["unclean.leader.election.enable"] is False
    assert config["auto.create.topics.enable"] is False
    replicas = int(said(workload(overlay, "edge"), "kafka_replication_factor"))
    assert brokers >= replicas == config["default.replication.factor"]
    assert (
        config["offsets.topic.replication.factor"]
        == config["transaction.state.log.replication.factor"]
        == replicas
    )
    assert (
        config["min.insync.replicas"]
        == config["transaction.state.log.min.isr"]
        == (2 if replicas == 3 else 1)
    )
    assert overlay == "dev" or replicas == 3
    (listener,) = kafka["listeners"]
    assert said(workload(overlay, "edge"), "kafka_bootstrap_servers").endswith(f":{listener['port']}")


def test_a_node_of_one_s_own_needs_no_zone_to_run_brokers() -> None:
    assert "rack" not in of_kind("dev", "Kafka")["chat"]["spec"]["kafka"]


@each_overlay
def test_only_the_persister_can_write_the_store(overlay: str) -> None:
    users = of_kind(overlay, "MongoDBCommunity")["chat-mongodb"]["spec"]["users"]
    rights = {user["connectionStringSecretName"]: user["roles"] for user in users}
    for name, role in (("persister", "readWrite"), ("api-gateway", "read")):
        one = workload(overlay, name)
        secret = one.env["MONGODB_URI"]["secretKeyRef"]["name"]
        assert rights[secret] == [{"name": role, "db": said(one, "mongodb_database")}]


@each_overlay
def test_mongodb_s_pods_have_the_rights_that_their_agents_need_and_no_more(overlay: str) -> None:
    name = "chat-mongodb"
    pod = of_kind(overlay, "MongoDBCommunity")[name]["spec"]["statefulSet"]["spec"]["template"]["spec"]
    binding = of_kind(overlay, "RoleBinding")[name]
    (subject,) = binding["subjects"]
    assert subject["kind"] == "ServiceAccount"
    assert pod["serviceAccountName"] == subject["name"]
    assert subject["name"] in of_kind(overlay, "ServiceAccount")
    secrets, pods = of_kind(overlay, "Role")[binding["roleRef"]["name"]]["rules"]
    assert secrets["resources"] == ["secrets"]
    assert (secrets["resourceNames"], secrets["verbs"]) == ([f"{name}-config"], ["get"])
    assert pods["resources"] == ["pods"]
    assert set(pods["verbs"]) == {"get", "patch", "delete"}


@each_overlay
def test_a_majority_of_mongodb_stays_when_nodes_are_emptied(overlay: str) -> None:
    one = of_kind(overlay, "MongoDBCommunity")["chat-mongodb"]["spec"]
    labels = {"app": "chat-mongodb-svc"}
    budget = of_kind(overlay, "PodDisruptionBudget")["chat-mongodb"]["spec"]
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
    affinity = one["statefulSet"]["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
    (apart,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart == {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}
    assert one["members"] == (1 if overlay == "dev" else 3)


def test_production_scales_by_what_the_dispatcher_wants_and_never_sets_a_number_back() -> None:
    targets = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind("prod", "ScaledObject").values()}
    targets |= {
        one["spec"]["scaleTargetRef"]["name"] for one in of_kind("prod", "HorizontalPodAutoscaler").values()
    }
    assert targets == {"edge", "persister", "api-gateway"}
    for name in targets:
        assert "replicas" not in workload("prod", name).spec
    assert workload("prod", "dispatcher").spec["replicas"] == 2


def test_one_edge_more_or_less_is_followed_however_many_there_are() -> None:
    """An HPA does nothing while what is wanted differs by less than its tolerance: by default a tenth."""
    edge = of_kind("prod", "ScaledObject")["edge"]["spec"]
    behavior = edge["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    for direction in ("scaleUp", "scaleDown"):
        assert behavior[direction].get("tolerance", 0.1) < 1 / edge["maxReplicaCount"]


@with_promtool
def test_edges_are_not_counted_down_while_no_dispatcher_leads(tmp_path: Path) -> None:
    """Whoever does not lead shows 0, and one that is gone nothing: neither is a wish for fewer edges."""
    trigger = of_kind("prod", "ScaledObject")["edge"]["spec"]["triggers"][0]["metadata"]
    assert trigger["ignoreNullValues"] == "false", "KEDA would take no answer for 0, and not fall back"
    for wanted, answer in ((("3x40", "0x40"), 3), (("0x40", "0x40"), None), ((), None)):
        series = {f'chat_dispatcher_edges_wanted{{instance="{n}"}}': one for n, one in enumerate(wanted)}
        assert_pods(tmp_path, series, answer)


@with_promtool
@pytest.mark.parametrize(
    ("serving", "pods", "wanted"),
    [
        pytest.param("4x40", 4, 3, id="all serve"),
        pytest.param("4x5 3x35", 4, 4, id="one has been drained, or is lost"),
        pytest.param("4x35 3x5", 4, 3, id="one stops"),
        pytest.param("4x15 3x5 4x15 3x5", 4, 3, id="one after the other was replaced"),
        pytest.param("4x40", 2, 3, id="Prometheus does not find all"),
    ],
)
def test_an_edge_that_does_not_serve_for_long_is_a_pod_more(
    tmp_path: Path, serving: str, pods: int, wanted: int
) -> None:
    """For as many pods as should serve, one that serves would be stopped for each, until all are full."""
    series = {f'up{{job="edge_server", instance="{n}"}}': "1x40" for n in range(pods)}
    edges = {"chat_dispatcher_edges_wanted": "3x40", 'chat_dispatcher_edges{state="serving"}': serving}
    assert_pods(tmp_path, series | edges, wanted)


def assert_pods(path: Path, series: dict[str, str], wanted: int | None) -> None:
    """Assert for how many edges KEDA is told to make a pod after forty minutes; None is no answer."""
    query = of_kind("prod", "ScaledObject")["edge"]["spec"]["triggers"][0]["metadata"]["query"]
    samples = [] if wanted is None else [{"labels": "{}", "value": wanted}]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "40m", "exp_samples": samples}],
    }
    (path / "test.yaml").write_text(yaml.safe_dump({"tests": [test]}))
    done = promtool("test", "rules", "test.yaml", cwd=path)
    assert done.returncode == 0, done.stdout + done.stderr
