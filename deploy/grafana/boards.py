"""The boards. `dashboards.py` makes Grafana's JSON of them, `pictures.py` draws them without Grafana."""

from typing import Final

from deploy.grafana.edges import EDGES
from deploy.grafana.persister_and_store import PERSISTER_AND_STORE
from deploy.grafana.way_of_a_message import WAY_OF_A_MESSAGE

ALL: Final = (WAY_OF_A_MESSAGE, EDGES, PERSISTER_AND_STORE)
