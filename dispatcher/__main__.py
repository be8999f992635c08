"""``python -m dispatcher``: run a dispatcher. ``--help`` lists its settings."""

from dispatcher.app import start
from dispatcher.settings import DispatcherSettings
from runtime.read_settings import load
from runtime.service import run

if __name__ == "__main__":
    settings = load(DispatcherSettings, "dispatcher")
    run("dispatcher", settings, lambda service: start(service, settings))
