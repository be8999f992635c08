"""Certificates on the way to brokers: read anew for each connection, and named where they are of no use."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
import uvloop
from cryptography import x509
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from deploy.local.ports import HOST
from persister.settings import PersisterSettings
from runtime import kafka, metrics
from runtime.kafka_tls import BrokersTls
from runtime.read_settings import load
from runtime.settings import KafkaSettings
from tests.private_ca import Authority

PASSWORD = "of-a-key-4711"


@asynccontextmanager
async def who_comes(authority: Authority) -> AsyncIterator[tuple[int, list[str]]]:
    """Serve on a port, and name who came there with a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    context.load_cert_chain(authority.sign("broker"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # Python's own choice from 3.13 on.
    came: list[str] = []

    def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(True))
        (name,) = shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        came.append(str(name.value))
        writer.close()

    async with await asyncio.start_server(note, HOST, 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1], came


async def come(port: int, context: ssl.SSLContext) -> None:
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
    await reader.read()
    writer.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_next_connection_shows_a_certificate_that_was_renewed_on_disk(
    loop: "type[asyncio.AbstractEventLoop]", tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    file = tmp_path / "ours.pem"

    async def reconnect() -> None:
        async with who_comes(authority) as (port, came):
            authority.sign("old", password=PASSWORD).replace(file)
            context = BrokersTls(str(authority.file), str(file), "", PASSWORD)
            await come(port, context)
            file.write_text("half written")
            with pytest.raises(OSError, match="KAFKA_CERT_FILE"):
                await come(port, context)
            authority.sign("new", password=PASSWORD).replace(file)
            await come(port, context)
            authority.sign("by rsa", password=PASSWORD, by_rsa=True).replace(file)
            await come(port, context)
            assert came == ["old", "new", "by rsa"]

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(reconnect())


async def test_a_broker_by_another_authority_or_of_another_name_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's authorities are trusted only where none is named."""
    authority, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    ours = str(authority.sign("ours"))
    async with who_comes(authority) as (port, came):
        await come(port, BrokersTls("", ours, "", ""))
        assert came == ["ours"]
        with pytest.raises(ssl.SSLCertVerificationError):
            await come(port, BrokersTls(str(other.file), ours, "", ""))
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await asyncio.open_connection(
                "localhost", port, ssl=BrokersTls(str(authority.file), ours, "", "")
            )


async def test_the_next_connection_trusts_no_authority_that_was_replaced_on_disk(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other")
    (trusted := tmp_path / "ca.pem").write_bytes(authority.file.read_bytes())
    async with who_comes(authority) as (port, came):
        context = BrokersTls(str(trusted), str(authority.sign("ours")), "", "")
        await come(port, context)
        assert came == ["ours"]
        trusted.write_bytes(other.file.read_bytes())
        with pytest.raises(ssl.SSLCertVerificationError):
            await come(port, context)


async def test_a_key_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    key, begins, certificate = authority.sign("ours").read_text().partition("-----BEGIN CERTIFICATE")
    (key_file := tmp_path / "key.pem").write_text(key)
    (cert_file := tmp_path / "cert.pem").write_text(begins + certificate)
    async with who_comes(authority) as (port, came):
        await come(port, BrokersTls(str(authority.file), str(cert_file), str(key_file), ""))
        assert came == ["ours"]


def test_every_client_of_kafka_is_told_how_it_is_let_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = KafkaSettings(
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-256",
        kafka_username="chat",
        kafka_password=SecretStr("only-for-tests"),
        kafka_ca_file=str(Authority(tmp_path).file),
    )
    told: list[dict[str, object]] = []

    def tell(*_: object, **given: object) -> Mock:
        told.append(given)
        return Mock()

    for name in ("AIOKafkaAdminClient", "AIOKafkaConsumer", "AIOKafkaProducer"):
        monkeypatch.setattr(kafka, name, tell)
    kafka.new_admin(settings)
    kafka.new_consumer(settings)
    kafka.new_producer(settings.model_copy(update={"kafka_durable": False}))
    assert settings.kafka_tls is not None
    expected = {
        "client_id": "uni4all-chat",
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "SASL_SSL",
        "ssl_context": settings.kafka_tls,
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "chat",
        "sasl_plain_password": "only-for-tests",
    }
    assert [{**given, **expected} for given in told] == told
    assert len(told) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_USERNAME": "chat"}, "KAFKA_PASSWORD"),
        ({"KAFKA_USERNAME": "chat", "KAFKA_PASSWORD": "secret"}, "KAFKA_SECURITY_PROTOCOL"),
        ({"KAFKA_PASSWORD": "secret"}, "KAFKA_SECURITY_PROTOCOL"),
        ({"KAFKA_CA_FILE": __file__}, "KAFKA_SECURITY_PROTOCOL"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CA_FILE": "/no/such/file"}, "KAFKA_CA_FILE"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CA_FILE": __file__}, "KAFKA_CA_FILE"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_KEY_FILE": "{encrypted}"}, "if KAFKA_CERT_FILE is"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_KEY_PASSWORD": "secret"}, "if KAFKA_CERT_FILE is"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CERT_FILE": "{encrypted}"}, "KAFKA_KEY_PASSWORD"),
        (
            {
                "KAFKA_SECURITY_PROTOCOL": "SSL",
                "KAFKA_CERT_FILE": "{encrypted}",
                "KAFKA_KEY_PASSWORD": "secret",
            },
            "KAFKA_KEY_PASSWORD",
        ),
    ],
)
def test_a_way_to_the_brokers_that_cannot_be_gone_is_said_at_the_start(
    given: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    encrypted = Authority(tmp_path).sign("ours", password=PASSWORD)
    for name, value in given.items():
        monkeypatch.setenv(name, value.format(encrypted=encrypted))
    with pytest.raises(SystemExit):
        load(PersisterSettings, "persister", [])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("persister: ")
    assert said in line
    assert "secret" not in line


def test_when_the_certificate_on_disk_expires_is_shown_also_once_it_is_renewed(tmp_path: Path) -> None:
    def shown() -> float:
        (gauge,) = metrics.KAFKA_CERTIFICATE_EXPIRES.collect()
        return gauge.samples[0].value

    first, second = Authority(tmp_path / "first"), Authority(tmp_path / "second", lasts=timedelta(days=90))
    ours = first.sign("ours", password=PASSWORD)
    BrokersTls(str(first.file), str(ours), "", PASSWORD)
    assert shown() == pytest.approx(time.time() + 86_400, abs=3600)
    ours.write_bytes(second.sign("ours", password=PASSWORD).read_bytes())
    assert shown() == pytest.approx(time.time() + 90 * 86_400, abs=3600)
    ours.write_text("no certificate")
    assert shown() == 0
