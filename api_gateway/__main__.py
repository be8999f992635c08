"""``python -m api_gateway``: run a gateway. ``--help`` lists its settings."""

from api_gateway.app import start
from api_gateway.settings import GatewaySettings
from runtime.service import run

if __name__ == "__main__":
    run("api_gateway", GatewaySettings, start)
