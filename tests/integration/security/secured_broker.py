"""A broker that lets in only who has a certificate and a password, and allows only what it was told to."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from deploy.local.kafka_native import NativeKafka, SideDoor, native_kafka_cluster
from deploy.local.ports import HOST, free_ports
from tests.private_ca import Authority

KEY_PASSWORD: Final = "of-a-key-4711"
PLAIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"


@dataclass(frozen=True)
class SecuredBroker:
    """A broker; its secured listener; and who signs for it."""

    broker: NativeKafka
    address: str
    """The secured listener. The broker's own address is the administrators', who may do everything."""
    authority: Authority


@contextmanager
def secured_broker(
    folder: Path, passwords: Mapping[str, str], own: Mapping[str, object] | None = None
) -> Iterator[SecuredBroker]:
    """Run a broker with these users, who may do nothing yet."""
    authority = Authority(folder / "certificates")
    (port,) = free_ports(1)
    users = " ".join(f'user_{name}="{password}"' for name, password in passwords.items())
    settings = {
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DOOR:SASL_SSL",
        "listener.name.door.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.door.plain.sasl.jaas.config": f"{PLAIN} required {users};",
        "listener.name.door.ssl.client.auth": "required",
        "listener.name.door.ssl.keystore.type": "PEM",
        "listener.name.door.ssl.keystore.location": authority.sign("broker"),
        "listener.name.door.ssl.truststore.type": "PEM",
        "listener.name.door.ssl.truststore.location": authority.file,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        **(own or {}),
    }
    with native_kafka_cluster(folder, 1, [SideDoor(port, port)], settings) as (broker,):
        yield SecuredBroker(broker, f"{HOST}:{port}", authority)


@dataclass(frozen=True)
class Allowed:
    """What a user may do with one resource, or with all whose names begin so."""

    user: str
    kind: str
    name: str
    operations: Sequence[str]


KINDS: Final = {"topic": 2, "group": 3, "cluster": 4, "transactional id": 5}
OPERATIONS: Final = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Alter": 7,
    "Describe": 8,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
    "IdempotentWrite": 12,
}
LITERAL, PREFIXED = 3, 4
ALLOW: Final = 3


async def allow(admin: AIOKafkaAdminClient, allowed: Sequence[Allowed]) -> None:
    """Let users do this. Names that end with ``*`` are beginnings."""
    for one in allowed:
        pattern = PREFIXED if one.name.endswith("*") else LITERAL
        for operation in one.operations:
            what = KINDS[one.kind], one.name.rstrip("*"), pattern
            rule = CreateAclsRequest(*what, f"User:{one.user}", "*", OPERATIONS[operation], ALLOW)
            ((code, said),) = (await admin._send_request(rule)).creation_responses
            assert code == 0, said
