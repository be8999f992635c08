"""The native broker's places and configuration, without starting it."""

from pathlib import Path

import pytest

from deploy.local import kafka_native
from deploy.local.kafka_native import (
    BrokerPlace,
    missing_for_native_kafka,
    parse_java_version,
    plan_cluster,
    server_properties,
)


def places(count: int) -> list[BrokerPlace]:
    return [BrokerPlace(n, 9000 + n, 9100 + n, Path(f"broker-{n}")) for n in range(1, count + 1)]


def settings_of(cluster: list[BrokerPlace]) -> dict[str, str]:
    text = server_properties(cluster[0], cluster)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_a_single_broker_needs_no_other() -> None:
    settings = settings_of(places(1))
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:9101"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9001"
    assert {value for key, value in settings.items() if "replication.factor" in key} == {"1"}
    assert settings["min.insync.replicas"] == "1"


def test_three_brokers_survive_the_loss_of_one() -> None:
    settings = settings_of(places(3))
    voters = settings["controller.quorum.voters"].split(",")
    assert voters == ["1@127.0.0.1:9101", "2@127.0.0.1:9102", "3@127.0.0.1:9103"]
    assert {value for key, value in settings.items() if "replication.factor" in key} == {"3"}
    assert {value for key, value in settings.items() if key.endswith(("min.isr", "insync.replicas"))} == {"2"}


def test_a_topic_comes_to_be_only_when_a_service_makes_it() -> None:
    assert settings_of(places(1))["auto.create.topics.enable"] == "false"


@pytest.mark.parametrize("name", ["José", "my chat", "a,b", "back\\slash"])
def test_a_folder_of_any_name_holds_what_its_broker_keeps(name: str, tmp_path: Path) -> None:
    (broker,) = plan_cluster(tmp_path / name, 1)
    text = server_properties(broker._place, [broker._place])
    assert name not in text, "Java would read it otherwise"
    assert "log.dirs=data\n" in text
    assert broker.cwd == tmp_path / name / "kafka-1"


def test_brokers_get_places_of_their_own_and_keep_their_cluster(tmp_path: Path) -> None:
    cluster = plan_cluster(tmp_path, 3)
    assert len({broker.address for broker in cluster}) == 3
    cluster_id = (tmp_path / "kafka-cluster-id").read_text()
    plan_cluster(tmp_path, 3)
    assert (tmp_path / "kafka-cluster-id").read_text() == cluster_id


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_292"', 8),
        ("No Java runtime present, requesting install.", 0),
    ],
)
def test_the_version_of_java_is_read_from_what_it_prints(said: str, version: int) -> None:
    assert parse_java_version(said) == version


def test_classes_that_were_kept_are_mapped_by_the_broker_and_its_tools(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kafka_native, "CLASSES", tmp_path / "kept.jsa")
    assert "SharedArchiveFile" not in " ".join(kafka_native._java("-Xmx1m", "kafka.Kafka"))
    (tmp_path / "kept.jsa").touch()
    assert f"-XX:SharedArchiveFile={tmp_path}/kept.jsa" in kafka_native._java("-Xmx1m", "kafka.Kafka")


def test_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert missing_for_native_kafka() == "no java on the PATH"
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(kafka_native, "java_version", lambda: 11)
    assert missing_for_native_kafka() == "java 11 is older than 17"
    monkeypatch.setattr(kafka_native, "java_version", lambda: 17)
    monkeypatch.setattr(kafka_native, "KAFKA_LIBS", tmp_path)
    assert "make setup brings them" in str(missing_for_native_kafka())
    (tmp_path / "kafka-server-4.4.0.jar").touch()
    assert missing_for_native_kafka() is None
