"""Every service is told where it listens, whom to trust and where to log, and its settings accept it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.environment import Places, Planned, Secrets, edge_names, plan_services, preferred_ports
from tests.unit.deploy.known_settings import SETTINGS

SECRETS = Secrets("t" * 43, "s" * 43, "d" * 43)
BACKING = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "MONGODB_URI": "mongodb://127.0.0.1:2"}


def planned(edges: int) -> list[Planned]:
    return plan_services(Places(preferred_ports(edges), BACKING, SECRETS, Path("logs")), edges)


@pytest.fixture(params=range(5))
def service(request: pytest.FixtureRequest) -> Iterator[Planned]:
    one = planned(2)[request.param]
    with pytest.MonkeyPatch.context() as patched:
        for name, value in one.env.items():
            patched.setenv(name, value)
        yield one


def test_its_settings_accept_what_it_is_told(service: Planned) -> None:
    kind = SETTINGS[service.module]
    settings = kind()
    assert settings.ops_port == service.ops_port
    # Nothing is told that nobody listens to: a renamed setting would be noticed here.
    unknown = {name.lower() for name in service.env} - set(kind.model_fields)
    assert unknown <= {"mongodb_uri", "kafka_durable"}


@given(st.integers(1, 20))
def test_no_two_services_share_a_port_or_a_name(edges: int) -> None:
    ports = list(preferred_ports(edges).values())
    assert len(set(ports)) == len(ports)
    names = [one.name for one in planned(edges)]
    assert len(set(names)) == len(names) == edges + 3


@given(st.integers(1, 20))
def test_each_has_a_log_folder_of_its_own(edges: int) -> None:
    folders = [one.env["LOG_DIR"] for one in planned(edges)]
    assert len(set(folders)) == len(folders)


@given(st.integers(1, 20))
def test_edges_are_started_last_and_named_in_order(edges: int) -> None:
    names = [one.name for one in planned(edges)]
    assert names[-edges:] == edge_names(edges)


def test_only_who_needs_a_secret_is_told_it() -> None:
    for one in planned(2):
        told = set(one.env.values())
        assert (SECRETS.token_secret in told) == (one.module in {"api_gateway", "edge_server"})
        assert (SECRETS.service_token in told) == (one.module == "api_gateway")
        assert (SECRETS.dispatcher_token in told) == (one.module == "dispatcher")
