"""Settings: typed, and checked when they are read (read_settings.py).

A service's settings are one frozen class made of the parts below. Nothing else reads the environment.
"""

import os
import re
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from runtime.kafka_tls import BrokersTls
from schemas import topics

MIN_SECRET_BYTES: Final = 32
MAX_PARTITIONS: Final = 4096
MIN_SESSION_TIMEOUT_MS: Final = 6_000
"""Kafka's own bound, ``group.min.session.timeout.ms``: with less, a member is never let into its group."""

# Nobody needs more. Without these bounds some part would die later of a library's own.
Milliseconds = Annotated[int, Field(le=86_400_000)]
Seconds = Annotated[float, Field(le=86_400)]
PerSecond = Annotated[float, Field(ge=0.001, le=1e9)]
Bytes = Annotated[int, Field(le=2**40)]
Count = Annotated[int, Field(le=10**9)]

_BROKER: Final = re.compile(r"(?:\[[^\s\]]+\]|(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?):([0-9]{1,5})")
_ORIGIN: Final = re.compile(r"\*|[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
USUAL_PORT: Final = re.compile("http://.*:80|https://.*:443")


def _is_sendable(token: SecretStr) -> SecretStr:
    """Checked here: no header can carry another token, and each caller would be told that its own is bad."""
    if re.fullmatch("[!-~]+", token.get_secret_value()) is None:
        raise ValueError("must have only ASCII characters, without white space: it is sent in a header")
    return token


BearerToken = Annotated[SecretStr, Field(min_length=16), AfterValidator(_is_sendable)]
"""The one token that callers of an API show. Files and `echo` end it with a line break."""


class SettingsPart(BaseSettings):
    """What holds for all settings: they are read once, their numbers are finite, errors show no secrets."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True
    )


class ServiceSettings(SettingsPart):
    """What every service can be told."""

    ops_host: str = Field(
        default="127.0.0.1",
        description="Address on which health and metrics are served. Empty: all, of IPv4 and IPv6.",
    )
    ops_port: int = Field(default=9100, ge=0, le=65535, description="Port for health and metrics.")
    log_dir: str = Field(
        default="logs",
        description="Folder for the log files. Each process needs its own, because two would rotate each "
        "other's files away. Empty: no files.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="Lowest level of lines that are logged. Those of debug are on stdout only.",
    )
    log_stdout: Literal["json", "text", "none"] = Field(
        default="json", description="Format of the lines on stdout."
    )
    max_open_connections: Count = Field(
        default=20_000,
        ge=10,
        description="Maximum number of open HTTP connections per port; further ones are closed unread. "
        "Websockets do not count.",
    )
    shutdown_deadline_s: Seconds = Field(
        default=10.0,
        gt=0,
        description="Seconds that a clean stop may take before the process ends anyway.",
    )


class KafkaSettings(SettingsPart):
    """How to reach Kafka, and what the deployment's log is like."""

    kafka_bootstrap_servers: str = Field(
        default="127.0.0.1:9092",
        min_length=1,
        description="Brokers, as host:port, separated by commas.",
    )
    kafka_durable: bool = Field(
        default=True,
        description="Set to false only for the in-memory development broker, which has no idempotence and "
        "no transactions.",
    )
    kafka_partitions: int = Field(
        default=12,
        ge=1,
        le=MAX_PARTITIONS,
        description="Number of partitions of the keyed topics; it must never change in place.",
    )
    kafka_ignore_added_partitions: bool = Field(
        default=False,
        description="Set to true if somebody has added partitions to a topic in place: services then start, "
        "as long as nothing was written to these partitions, and `python -m persister.grow` works.",
    )
    kafka_generation: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Which generation of topics holds the log. It rises by one each time the number of "
        "partitions grows; only `python -m persister.grow` creates the topics of generation 2 "
        "and later.",
    )
    kafka_replication_factor: int = Field(
        default=1, ge=1, le=9, description="Replicas of the topics that the services create; 3 in production."
    )
    kafka_request_timeout_ms: Milliseconds = Field(
        default=15_000,
        ge=1_000,
        description="Milliseconds after which an unanswered request counts as failed.",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT",
        description="How to reach the brokers: by TLS (SSL), with a user and password (SASL), or both.",
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="How the password is proved, with SASL."
    )
    kafka_username: str = Field(default="", description="User at the brokers, with SASL.")
    kafka_password: SecretStr = Field(default=SecretStr(""), description="This user's password.")
    kafka_ca_file: str = Field(
        default="",
        description="File (PEM) with the CAs that sign the brokers' certificates. Empty: the system's CAs.",
    )
    kafka_cert_file: str = Field(
        default="", description="File (PEM) with our own certificate, if the brokers ask for one."
    )
    kafka_key_file: str = Field(
        default="", description="File (PEM) with that certificate's key, if it is not in the same file."
    )
    kafka_key_password: SecretStr = Field(
        default=SecretStr(""), description="Password of the key, if it is encrypted."
    )

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _are_brokers(cls, brokers: str) -> str:
        """Checked here: the library would end the start with its own error, or look for a nameless host."""
        for broker in brokers.split(","):
            found = _BROKER.fullmatch(broker.strip())
            if found is None or not 0 < int(found[1]) < 65_536:
                raise ValueError("must be host:port, separated by commas")
        return brokers

    @model_validator(mode="after")
    def _reaches_secured_brokers(self) -> Self:
        """Checked here: later, a fault looks like a broker that is away, or leaves connections unsecured."""
        with_password = self.kafka_security_protocol.startswith("SASL")
        given = {bool(self.kafka_username), bool(self.kafka_password.get_secret_value())}
        if given != {with_password}:
            raise ValueError(
                "KAFKA_USERNAME and KAFKA_PASSWORD must both be set if KAFKA_SECURITY_PROTOCOL is "
                "SASL_PLAINTEXT or SASL_SSL, and only then"
            )
        if self.kafka_tls is None and (self.kafka_ca_file or self.kafka_cert_file or self.kafka_key_file):
            raise ValueError(
                "KAFKA_CA_FILE, KAFKA_CERT_FILE and KAFKA_KEY_FILE may only be set if "
                "KAFKA_SECURITY_PROTOCOL is SSL or SASL_SSL"
            )
        if not self.kafka_cert_file and (self.kafka_key_file or self.kafka_key_password.get_secret_value()):
            raise ValueError("KAFKA_KEY_FILE and KAFKA_KEY_PASSWORD may only be set if KAFKA_CERT_FILE is")
        return self

    @cached_property
    def kafka_tls(self) -> BrokersTls | None:
        """TLS to the brokers, for all connections; None without TLS. Raises `ValueError`."""
        if not self.kafka_security_protocol.endswith("SSL"):
            return None
        key_password = self.kafka_key_password.get_secret_value()
        try:
            return BrokersTls(self.kafka_ca_file, self.kafka_cert_file, self.kafka_key_file, key_password)
        except OSError as error:
            raise ValueError(str(error)) from error

    @property
    def kafka_client_id(self) -> str:
        """The name of our clients in the brokers' logs, metrics and quotas."""
        return "uni4all-chat"

    def topic(self, name: str) -> str:
        """Return what Kafka calls a topic in this generation."""
        return topics.in_generation(name, self.kafka_generation)


class WebSettings(SettingsPart):
    """What a server of browsers lets them do."""

    allowed_origins: str = Field(
        default="*",
        description="Origins of web pages that may connect or call, separated by commas. * allows all: a "
        "client is identified by its token, never by a cookie.",
    )
    body_within_s: Seconds = Field(
        default=10.0, gt=0, description="Seconds within which a request's body must arrive."
    )

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, listed: str) -> str:
        """Checked here: in another form an origin never equals what browsers send: its pages are refused."""
        for origin in _split(listed):
            if not _ORIGIN.fullmatch(origin) or USUAL_PORT.fullmatch(origin):
                raise ValueError(
                    "must be *, or origins as browsers send them: https://chat.example, in lower case, "
                    "without a path or the usual port, separated by commas"
                )
        return listed

    @property
    def origins(self) -> frozenset[str]:
        """The origins that ``ALLOWED_ORIGINS`` lists; a ``*`` among them allows all."""
        return frozenset(_split(self.allowed_origins))


def _split(origins: str) -> list[str]:
    return [origin.strip().removesuffix("/") for origin in origins.split(",")]


class SendSettings(SettingsPart):
    """How long the log may take with what somebody waits for."""

    send_timeout_ms: Milliseconds = Field(
        default=5_000,
        ge=100,
        description="Milliseconds that a write may wait for its durable ack.",
    )
    refuse_when_waiting_ms: Milliseconds = Field(
        default=2_000,
        ge=100,
        description="Writes are refused at once while the oldest write of their partition has waited this "
        "many milliseconds for the log.",
    )

    @model_validator(mode="after")
    def _refuses_in_time(self) -> Self:
        if self.refuse_when_waiting_ms > self.send_timeout_ms:
            raise ValueError("REFUSE_WHEN_WAITING_MS must not be more than SEND_TIMEOUT_MS")
        return self


class MongoSettings(SettingsPart):
    """How to reach MongoDB."""

    mongodb_uri: SecretStr = Field(
        default=SecretStr("mongodb://127.0.0.1:27017"), description="URI of the store."
    )
    mongodb_database: str = Field(
        default="uni4all_chat",
        pattern=r"""^[^/\\. "$*<>:|?]{1,63}$""",
        description="Name of the database; it must be a valid name in MongoDB.",
    )
    mongodb_timeout_ms: Milliseconds = Field(
        default=3_000, ge=100, description="Milliseconds after which an operation counts as failed."
    )

    @field_validator("mongodb_uri")
    @classmethod
    def _has_its_scheme(cls, uri: SecretStr) -> SecretStr:
        """Checked here: a persister makes its driver only once Kafka has answered."""
        if not uri.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must begin with mongodb:// or mongodb+srv://")
        return uri


EMPTY_IS_UNSET: Final = BeforeValidator(lambda given: given or None)
"""For optional settings: compose and templates set those that nobody gave to an empty text."""


class TokenSettings(SettingsPart):
    """Which tokens are believed."""

    token_algorithms: Annotated[tuple[Literal["HS256", "RS256", "ES256"], ...], NoDecode] = Field(
        default=("HS256",),
        description="Accepted algorithms, separated by commas.",
    )
    token_secret: SecretStr | None = Field(
        default=None, description="Shared secret for HS256, at least 32 bytes."
    )
    token_jwks: Annotated[str | None, EMPTY_IS_UNSET] = Field(
        default=None, description="File or https URL with the public keys for RS256 and ES256."
    )
    token_audience: Annotated[str | None, EMPTY_IS_UNSET] = Field(
        default=None, description="Required aud claim, if set."
    )
    token_issuer: Annotated[str | None, EMPTY_IS_UNSET] = Field(
        default=None, description="Required iss claim, if set."
    )
    token_up_claim: str = Field(
        default="sub", min_length=1, description="Name of the claim that holds the UP number."
    )
    token_leeway_s: float = Field(
        default=10.0,
        ge=0,
        le=300,
        description="Seconds by which the issuer's clock may be ahead of ours. This applies to nbf and "
        "iat, never to exp.",
    )

    @field_validator("token_algorithms", mode="before")
    @classmethod
    def _is_split(cls, given: object) -> object:
        """A JSON list is read as well: this setting used to be one."""
        return [one.strip(' "[]') for one in given.split(",")] if isinstance(given, str) else given

    @field_validator("token_secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        size = len(secret.get_secret_value().encode()) if secret else 0
        if "HS256" in info.data.get("token_algorithms", ()) and size < MIN_SECRET_BYTES:
            raise ValueError(f"must have {MIN_SECRET_BYTES} bytes or more if HS256 is accepted")
        return secret

    @field_validator("token_jwks")
    @classmethod
    def _is_there(cls, jwks: str | None, info: ValidationInfo) -> str | None:
        if set(info.data.get("token_algorithms", ())) - {"HS256"} and not jwks:
            raise ValueError("must be set if RS256 or ES256 is accepted")
        # Not `Path.is_file`, which raises for a text that is longer than a path may be: the keys themselves.
        if jwks and not jwks.startswith("https://") and not os.path.isfile(jwks):  # noqa: PTH113
            raise ValueError("must be an https URL, or an existing file")
        return jwks


class TracingSettings(SettingsPart):
    """Whether traces are made. OpenTelemetry's other OTEL_* variables (headers, queue sizes) hold, too."""

    otel_exporter_otlp_endpoint: str = Field(
        default="",
        pattern="^(https?://.+)?$",
        description="Base URL of an OTLP collector (http/protobuf). Empty: no traces, at no cost.",
    )
    otel_traces_sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = Field(default="parentbased_always_on", description="Which messages and requests are traced.")
    otel_traces_sampler_arg: float = Field(
        default=1.0, ge=0, le=1, description="The share of them that a traceidratio sampler takes."
    )
