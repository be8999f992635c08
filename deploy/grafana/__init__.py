"""Dashboards as code.

panels.py               (pure) what boards are made of, and the expressions they need most
shared_panels.py        panels that stand on more than one board
way_of_a_message.py     the board for everybody
edges.py                the board of edges
persister_and_store.py  the board of the persister
dashboards.py           all boards, and their JSON for Grafana
pictures.py             the same queries drawn without Grafana
"""
