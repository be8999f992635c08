"""``python -m persister``: run a persister. ``--help`` lists its settings."""

from persister.app import start
from persister.settings import PersisterSettings
from runtime.service import run
from runtime.settings import load

if __name__ == "__main__":
    settings = load(PersisterSettings, "persister")
    run("persister", settings, lambda service: start(service, settings))
