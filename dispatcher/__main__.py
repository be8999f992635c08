"""``python -m dispatcher``: run a dispatcher. ``--help`` lists its settings."""

from dispatcher.app import start
from dispatcher.settings import DispatcherSettings
from runtime.service import run

if __name__ == "__main__":
    run("dispatcher", DispatcherSettings, start)
