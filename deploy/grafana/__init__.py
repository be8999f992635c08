"""Dashboards as code.

- `panels`            what boards are made of, and the expressions they need most
- `way_of_a_message`, `edges`, `persister_and_store`   the boards; `boards` lists them
- `dashboards`        their JSON for Grafana
- `pictures`          the same queries drawn without Grafana
"""
