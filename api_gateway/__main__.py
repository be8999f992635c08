"""Starts the gateway: ``python -m api_gateway``. It decides nothing."""

from api_gateway.app import start
from api_gateway.settings import GatewaySettings
from runtime import service
from runtime.read_settings import load


def main() -> None:
    """Read the settings and run until SIGTERM."""
    settings = load(GatewaySettings, "api_gateway")
    service.run("api_gateway", settings, lambda running: start(running, settings))


if __name__ == "__main__":
    main()
