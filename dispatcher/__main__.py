"""``python -m dispatcher``."""

from dispatcher.app import start
from dispatcher.settings import DispatcherSettings
from runtime.service import run
from runtime.settings import load

NAME = "dispatcher"

if __name__ == "__main__":
    settings = load(DispatcherSettings, NAME)
    run(NAME, settings, lambda service: start(service, settings))
