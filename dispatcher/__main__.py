"""``python -m dispatcher``."""

from dispatcher.app import start
from dispatcher.settings import DispatcherSettings
from runtime.read_settings import load
from runtime.service import run

NAME = "dispatcher"

if __name__ == "__main__":
    settings = load(DispatcherSettings, NAME)
    run(NAME, settings, lambda service: start(service, settings))
