"""Settings say themselves, in the form in which they are given."""

from typing import get_args

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from api_gateway.settings import GatewaySettings
from dispatcher.settings import DispatcherSettings
from edge_server.settings import EdgeSettings
from persister.settings import PersisterSettings
from runtime.kafka import access
from runtime.read_settings import describe, load
from runtime.settings import (
    KafkaSettings,
    ServiceSettings,
    TokenSettings,
    TracingSettings,
    WebSettings,
)

SAMPLERS = get_args(TracingSettings.model_fields["otel_traces_sampler"].annotation)


def said_of(kind: type[BaseSettings], name: str) -> list[str]:
    """Return the lines in which help speaks of a setting: its own first."""
    _, _, after = f"\n{describe(kind)}".partition(f"\n  {name} ")
    first, *others = after.splitlines()
    under = next((n for n, line in enumerate(others) if not line.startswith("      ")), len(others))
    return [first, *(line.strip() for line in others[:under])]


@pytest.mark.parametrize(
    ("kind", "name", "default"),
    [
        (TokenSettings, "TOKEN_ALGORITHMS", "HS256"),
        (TokenSettings, "TOKEN_SECRET", ""),
        (TokenSettings, "TOKEN_LEEWAY_S", "10.0"),
        (KafkaSettings, "KAFKA_DURABLE", "true"),
        (ServiceSettings, "OPS_PORT", "9100"),
    ],
)
def test_help_shows_a_default_as_the_environment_would_give_it(
    kind: type[BaseSettings], name: str, default: str
) -> None:
    assert said_of(kind, name)[0] == f"[{default}]"


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (ServiceSettings, "LOG_LEVEL", "debug, info, warning, error"),
        (ServiceSettings, "LOG_STDOUT", "json, text, none"),
        (TokenSettings, "TOKEN_ALGORITHMS", "HS256, RS256, ES256"),
        (TracingSettings, "OTEL_TRACES_SAMPLER", ", ".join(SAMPLERS)),
    ],
)
def test_help_lists_the_values_where_only_some_are_taken(
    kind: type[BaseSettings], name: str, values: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert said_of(kind, name)[-1] == f"Values: {values}"


@pytest.mark.parametrize("kind", [DispatcherSettings, EdgeSettings, GatewaySettings, PersisterSettings])
def test_help_is_no_wider_than_the_terminal(
    kind: type[BaseSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert max(len(line) for line in describe(kind).splitlines()) < 80


def test_help_lists_no_values_where_any_are_taken() -> None:
    assert not [line for line in said_of(ServiceSettings, "LOG_DIR") if line.startswith("Values")]


def test_a_service_that_cannot_start_says_all_that_is_wrong_with_its_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKEN_SECRET", "short")
    monkeypatch.setenv("OPS_PORT", "-1")
    with pytest.raises(SystemExit) as ended:
        load(GatewaySettings, "api_gateway", [])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "api_gateway: OPS_PORT: " in said
    assert "api_gateway: TOKEN_SECRET: " in said
    assert "short" not in said


def test_an_error_that_nobody_lists_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that looks at several settings has all of them as its input, as they were given."""
    monkeypatch.setenv("KAFKA_PASSWORD", "hunter2")
    with pytest.raises(ValidationError) as error:
        KafkaSettings()
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("kind", [DispatcherSettings, EdgeSettings, GatewaySettings, PersisterSettings])
def test_whatever_is_given_to_a_setting_is_said_by_its_name_and_ends_no_start_otherwise(
    kind: type[ServiceSettings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [name.upper() for name in kind.model_fields]
    for name in names:
        monkeypatch.setenv(name, "[nonsense, more")
    with pytest.raises(SystemExit) as ended:
        load(kind, "service", [])
    assert ended.value.code == 2
    said = [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()]
    assert "OPS_PORT" in said
    assert set(said) <= {*names, "settings"}


@pytest.mark.parametrize("given", ["inf", "-inf", "nan", "1e999", "9" * 30])
@pytest.mark.parametrize("kind", [DispatcherSettings, EdgeSettings, GatewaySettings, PersisterSettings])
def test_a_number_without_an_end_is_refused_in_one_line_by_every_setting(
    kind: type[ServiceSettings],
    given: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TOKEN_SECRET", "x" * 32)
    monkeypatch.setenv("DISPATCHER_TOKEN", "only-for-tests-0123456789")
    numbers = [name.upper() for name, field in kind.model_fields.items() if field.annotation in (int, float)]
    assert {"OPS_PORT", "SHUTDOWN_DEADLINE_S"} <= set(numbers)
    for name in numbers:
        monkeypatch.setenv(name, given)
        with pytest.raises(SystemExit):
            load(kind, "service", [])
        monkeypatch.delenv(name)
        (said,) = capsys.readouterr().err.splitlines()
        assert said.startswith(f"service: {name}: Input should be ")


@pytest.mark.parametrize("given", ["HS256,RS256", "HS256, RS256", '["HS256", "RS256"]'])
def test_a_list_is_given_with_commas_between_or_as_json(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_ALGORITHMS", given)
    monkeypatch.setenv("TOKEN_SECRET", "x" * 32)
    monkeypatch.setenv("TOKEN_JWKS", __file__)
    assert TokenSettings().token_algorithms == ("HS256", "RS256")


@pytest.mark.parametrize(
    "given",
    [
        *("*", "http://localhost:8080", "https://a.example/, https://b.example", "https://[2001:db8::1]"),
        *("capacitor://localhost", "http://a.example:443", "https://xn--nez-hoa.example"),
    ],
)
def test_origins_are_given_as_browsers_send_them(given: str) -> None:
    assert WebSettings(allowed_origins=given).allowed_origins == given


@pytest.mark.parametrize("given", ["a:1", "a:1, b.example:65535", "[::1]:9092", "a_b-1.c.:1"])
def test_brokers_are_hosts_and_ports(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", given)
    assert KafkaSettings().kafka_bootstrap_servers == given


@pytest.mark.parametrize(
    ("kind", "name", "given"),
    [
        *(
            (PersisterSettings, "KAFKA_BOOTSTRAP_SERVERS", one)
            for one in ("", "a", "a:b", "a:1,", ":1", "a:65536", "a:1;b:2")
        ),
        *(
            (PersisterSettings, "KAFKA_BOOTSTRAP_SERVERS", one)
            for one in (".kafka:9092", "b..kafka:9092", f"{'x' * 64}:9092", "núcleo:9092")
        ),
        *(
            (kind, "ALLOWED_ORIGINS", one)
            for kind in (EdgeSettings, GatewaySettings)
            for one in (
                *("", "https://a.example,", "a.example", "//a.example", "https://*.example"),
                *("https://A.example", "https://a.example/chat", "https://a.example:443", "http://a:80/"),
            )
        ),
        *((PersisterSettings, "MONGODB_DATABASE", one) for one in ("", "a.b", "a b", "$a", "x" * 64)),
        *(
            (PersisterSettings, "MONGODB_URI", one)
            for one in ("", "store:27017", "http://me:secret@store", "mongodb:/store")
        ),
        *(
            (kind, name, one)
            for kind, name in ((GatewaySettings, "SERVICE_TOKEN"), (DispatcherSettings, "DISPATCHER_TOKEN"))
            for one in ("secret", "secret-0123456789\n", " secret-0123456789", "secret-ñ-0123456789")
        ),
        *((PersisterSettings, "SESSION_TIMEOUT_MS", one) for one in ("5999", "45001")),
        (DispatcherSettings, "DISPATCHER_SESSION_TIMEOUT_MS", "5999"),
        *(
            (kind, name, one)
            for kind, name in (
                (PersisterSettings, "PERSISTER_GROUP"),
                (DispatcherSettings, "DISPATCHER_GROUP"),
            )
            for one in ("", "x" * 201)
        ),
        *((EdgeSettings, "TOKEN_LEEWAY_S", one) for one in ("-1", "301", "nan", "inf", "")),
        *(
            (EdgeSettings, "TOKEN_JWKS", one)
            for one in (
                *("http://id.example/keys", "HTTPS://id.example/keys"),
                *("/no/such/file", ".", "{" + "k" * 300 + "}"),
            )
        ),
    ],
)
def test_what_no_service_can_use_is_said_by_the_setting_s_name_before_anything_else_is_done(
    kind: type[ServiceSettings],
    name: str,
    given: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DISPATCHER_TOKEN", "only-for-tests-0123456789")
    monkeypatch.setenv("TOKEN_SECRET", "x" * 32)
    monkeypatch.setenv(name, given)
    with pytest.raises(SystemExit):
        load(kind, "service", [])
    said = capsys.readouterr().err
    assert said.startswith(f"service: {name}: ")
    assert said.count("\n") == 1
    assert "secret" not in said


def test_keys_are_at_an_https_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_JWKS", "https://id.example/keys")
    assert TokenSettings().token_jwks == "https://id.example/keys"


@pytest.mark.parametrize("name", ["token_jwks", "token_audience", "token_issuer", "service_token"])
def test_what_need_not_be_set_is_unset_where_it_is_empty(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_SECRET", "x" * 32)
    monkeypatch.setenv(name.upper(), "")
    assert getattr(GatewaySettings(), name) is None


def test_a_gateway_s_stop_is_longer_than_a_write_may_wait(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKEN_SECRET", "x" * 32)
    monkeypatch.setenv("SEND_TIMEOUT_MS", "6000")
    with pytest.raises(SystemExit):
        load(GatewaySettings, "api_gateway", [])
    assert "SEND_TIMEOUT_MS must be less than 60% of SHUTDOWN_DEADLINE_S" in capsys.readouterr().err
    monkeypatch.setenv("SEND_TIMEOUT_MS", "5999")
    settings = load(GatewaySettings, "api_gateway", [])
    assert settings.send_timeout_ms / 1000 < settings.finish_within_s < settings.shutdown_deadline_s


def test_one_body_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_SECRET", "x" * 32)
    assert GatewaySettings(max_body_bytes=524_288, max_bodies_bytes=1_048_576).max_body_bytes == 524_288
    with pytest.raises(ValidationError, match="more than half of MAX_BODIES_BYTES"):
        GatewaySettings(max_body_bytes=524_289, max_bodies_bytes=1_048_576)


@pytest.mark.parametrize("given", ["", "[]", "HS512", "HS256,", "HS256 RS256"])
def test_a_list_of_something_else_is_answered_by_what_is_wanted(
    given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKEN_ALGORITHMS", given)
    with pytest.raises(SystemExit):
        load(GatewaySettings, "api_gateway", [])
    wanted = "api_gateway: TOKEN_ALGORITHMS: Input should be 'HS256', 'RS256' or 'ES256'\n"
    assert capsys.readouterr().err == wanted


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (EdgeSettings, "edge_server.edge-7"),
        (DispatcherSettings, "dispatcher"),
        (PersisterSettings, "persister"),
        (GatewaySettings, "api_gateway"),
    ],
)
def test_brokers_can_tell_services_and_edges_apart(
    kind: type[KafkaSettings], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("TOKEN_SECRET", "SERVICE_TOKEN", "DISPATCHER_TOKEN"):
        monkeypatch.setenv(variable, "only-for-tests-0123456789abcdef-0123456789")
    monkeypatch.setenv("EDGE_NAME", "edge-7")
    assert access(kind())["client_id"] == name
