"""Which services a block of backing services uses and what it tells, without starting any."""

from pathlib import Path

import pytest

from deploy.local import backing as module
from deploy.local.backing import RunningBacking, backing_services
from deploy.local.given import GivenService, NotOursError
from deploy.local.ways import NoWayError

GIVEN = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9092,kafka-2:9092",
    "MONGODB_URI": "mongodb://reader:secret@store:27017/?replicaSet=rs",
}


class PlainService:
    """A service that does nothing but remember."""

    address = "127.0.0.1:4711"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        return lambda: self.calls.append(name)


def given(tmp_path: Path, environ: dict[str, str]) -> tuple[RunningBacking, list[str]]:
    said: list[str] = []
    with backing_services(tmp_path, announce=said.append, environ=environ) as running:
        return running, said


def test_given_urls_are_handed_on_untouched(tmp_path: Path) -> None:
    running, _ = given(tmp_path, GIVEN)
    assert running.env() == {**GIVEN, "KAFKA_DURABLE": "true"}
    assert running.kafka_durable
    assert list(tmp_path.iterdir()) == []


def test_what_was_printed_for_the_broker_in_memory_is_believed(tmp_path: Path) -> None:
    running, _ = given(tmp_path, {**GIVEN, "KAFKA_DURABLE": "false"})
    assert not running.kafka_durable
    assert running.env()["KAFKA_DURABLE"] == "false"


def test_no_password_is_announced(tmp_path: Path) -> None:
    running, said = given(tmp_path, GIVEN)
    assert len(said) == 2
    assert "secret" not in " ".join(said) + running.description
    assert "store:27017" in said[1]


@pytest.mark.parametrize("act", ["stop", "kill", "freeze", "thaw"])
def test_a_given_service_is_not_ours_to_disturb(act: str) -> None:
    service = GivenService("MONGODB_URI", GIVEN["MONGODB_URI"])
    service.start()
    with pytest.raises(NotOursError, match=f"cannot {act} the service that MONGODB_URI names"):
        getattr(service, act)()
    service.close()


def test_one_url_may_be_given_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PlainService()
    monkeypatch.setattr(module, "missing_for_docker", lambda compose: "closed")
    monkeypatch.setattr(module, "missing_for_store", lambda: None)
    monkeypatch.setattr(module, "StoreProcess", lambda folder: store)
    running, said = given(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9092"})
    assert running.kafka.address == "kafka-1:9092"
    assert running.mongodb_uri == "mongodb://127.0.0.1:4711/?directConnection=true"
    assert said == [
        "Kafka: given by KAFKA_BOOTSTRAP_SERVERS, at kafka-1:9092",
        "store: SecantusDB as a process of this machine, at 127.0.0.1:4711",
    ]
    assert store.calls == ["start", "close"]


def test_a_forced_way_beats_given_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker, store = PlainService(), PlainService()
    monkeypatch.setattr(module, "missing_for_in_memory_kafka", lambda: None)
    monkeypatch.setattr(module, "missing_for_store", lambda: None)
    monkeypatch.setattr(module, "InMemoryKafka", lambda folder: broker)
    monkeypatch.setattr(module, "StoreProcess", lambda folder: store)
    running, said = given(tmp_path, {**GIVEN, "BACKING": "pip"})
    assert running.env()["KAFKA_DURABLE"] == "false"
    assert "its end loses every record" in said[0]


def test_a_forced_way_that_is_closed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "missing_for_native_kafka", lambda: "no java on the PATH")
    with pytest.raises(NoWayError, match="native: no java on the PATH"):
        given(tmp_path, {"BACKING": "native"})


def test_what_was_started_is_closed_when_a_later_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(PlainService):
        def start(self) -> None:
            raise TimeoutError("store ready: not within 60 s")

    broker, store = PlainService(), Failing()
    monkeypatch.setattr(module, "missing_for_in_memory_kafka", lambda: None)
    monkeypatch.setattr(module, "missing_for_store", lambda: None)
    monkeypatch.setattr(module, "InMemoryKafka", lambda folder: broker)
    monkeypatch.setattr(module, "StoreProcess", lambda folder: store)
    with pytest.raises(TimeoutError), backing_services(tmp_path, environ={"BACKING": "pip"}):
        pytest.fail("the block must not run")
    assert broker.calls == ["start", "close"]
    assert store.calls == ["close"]
