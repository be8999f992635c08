"""``python -m api_gateway``: run a gateway. ``--help`` lists its settings."""

from api_gateway.app import start
from api_gateway.settings import GatewaySettings
from runtime.read_settings import load
from runtime.service import run

if __name__ == "__main__":
    settings = load(GatewaySettings, "api_gateway")
    run("api_gateway", settings, lambda service: start(service, settings))
