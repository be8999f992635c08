"""What each service can be told, for tests of files that tell it."""

from typing import Final

from api_gateway.settings import GatewaySettings
from dispatcher.settings import DispatcherSettings
from edge_server.settings import EdgeSettings
from persister.settings import PersisterSettings
from runtime.settings import ServiceSettings

SETTINGS: Final[dict[str, type[ServiceSettings]]] = {
    "api_gateway": GatewaySettings,
    "dispatcher": DispatcherSettings,
    "edge_server": EdgeSettings,
    "persister": PersisterSettings,
}

LISTENS: Final = {
    "api_gateway": {"public_port", "internal_port", "ops_port"},
    "dispatcher": {"ops_port"},
    "edge_server": {"edge_port", "ops_port"},
    "persister": {"ops_port"},
}
"""The settings that are ports."""


def variables(service: str) -> set[str]:
    """Return the environment variables that a service knows."""
    return {name.upper() for name in SETTINGS[service].model_fields}


def ports(service: str) -> dict[str, int]:
    """Return the ports at which a service listens when nothing else is said, by setting."""
    fields = SETTINGS[service].model_fields
    return {name: fields[name].get_default() for name in LISTENS[service]}
