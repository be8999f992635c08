"""``python -m edge_server``: run an edge. ``--help`` lists its settings."""

from edge_server.app import start
from edge_server.settings import EdgeSettings
from runtime.service import run

if __name__ == "__main__":
    run("edge_server", EdgeSettings, start)
