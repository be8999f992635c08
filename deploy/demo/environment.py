"""The environment variables of each service. Pure: the same places give the same text."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.ports import HOST

PUBLIC_PORT, INTERNAL_PORT, FIRST_EDGE_PORT = 8000, 3000, 5001
OPS_PORTS = {"dispatcher": 9100, "persister": 9101, "api_gateway": 9102}
FIRST_EDGE_OPS_PORT = 9110

DRAIN_DEADLINE_S = 8.0
"""Short, so that a demo stops soon."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets, new for each run."""

    token_secret: str
    service_token: str
    dispatcher_token: str


@dataclass(frozen=True, slots=True)
class Planned:
    """One service to start: ``python -m module`` with ``env``; health and metrics on ``ops_port``."""

    name: str
    module: str
    ops_port: int
    env: Mapping[str, str]


def edge_names(count: int) -> list[str]:
    """Return the names of the edges."""
    return [f"edge-{number}" for number in range(1, count + 1)]


def preferred_ports(edges: int) -> dict[str, int]:
    """Return the port that each listener gets when it is free, by name."""
    ports = {"public": PUBLIC_PORT, "internal": INTERNAL_PORT}
    ports |= {f"{service} ops": port for service, port in OPS_PORTS.items()}
    for number, name in enumerate(edge_names(edges)):
        ports[name] = FIRST_EDGE_PORT + number
        ports[f"{name} ops"] = FIRST_EDGE_OPS_PORT + number
    return ports


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything of one system is: ports by listener, backing services by variable, logs, secrets."""

    ports: Mapping[str, int]
    backing: Mapping[str, str]
    secrets: Secrets
    log_dir: Path


def plan_services(places: Places, edges: int) -> list[Planned]:
    """Return the services in the order of their start; they stop in the reverse order."""
    secrets, ports = places.secrets, places.ports
    return [
        _planned(places, "persister", "persister"),
        _planned(places, "dispatcher", "dispatcher", dispatcher_token=secrets.dispatcher_token),
        _planned(
            places,
            "api_gateway",
            "api_gateway",
            gateway_host=HOST,
            internal_host=HOST,
            public_port=ports["public"],
            internal_port=ports["internal"],
            token_secret=secrets.token_secret,
            service_token=secrets.service_token,
        ),
        *(plan_edge(places, name) for name in edge_names(edges)),
    ]


def plan_edge(places: Places, name: str) -> Planned:
    """Return an edge to start, on the ports of its name."""
    port = places.ports[name]
    return _planned(
        places,
        name,
        "edge_server",
        edge_name=name,
        edge_host=HOST,
        edge_port=port,
        edge_url=f"http://{HOST}:{port}",
        token_secret=places.secrets.token_secret,
        drain_deadline_s=DRAIN_DEADLINE_S,
    )


def _planned(places: Places, name: str, module: str, **env: object) -> Planned:
    ops_port = places.ports[f"{name} ops"]
    variables = {
        **places.backing,
        "OPS_HOST": HOST,
        "OPS_PORT": str(ops_port),
        "LOG_DIR": str(places.log_dir / name),
        "LOG_STDOUT": "text",
        **{key.upper(): str(value) for key, value in env.items()},
    }
    return Planned(name, module, ops_port, variables)
