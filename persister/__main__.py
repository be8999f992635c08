"""``python -m persister``: run a persister. ``--help`` lists its settings."""

from persister.app import start
from persister.settings import PersisterSettings
from runtime.read_settings import load
from runtime.service import run

if __name__ == "__main__":
    settings = load(PersisterSettings, "persister")
    run("persister", settings, lambda service: start(service, settings))
