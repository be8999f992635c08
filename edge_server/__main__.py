"""``python -m edge_server``: run an edge. ``--help`` lists its settings."""

from edge_server.app import start
from edge_server.settings import EdgeSettings
from runtime.read_settings import load
from runtime.service import run

if __name__ == "__main__":
    settings = load(EdgeSettings, "edge_server")
    run("edge_server", settings, lambda service: start(service, settings))
