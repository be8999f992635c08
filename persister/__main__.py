"""``python -m persister``: run a persister. ``--help`` lists its settings."""

from persister.app import start
from persister.settings import PersisterSettings
from runtime.service import run

if __name__ == "__main__":
    run("persister", PersisterSettings, start)
