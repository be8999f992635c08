"""Watching: Prometheus' configuration, the alerts with their cases, and a Prometheus of this machine.

local_prometheus.py  a Prometheus of this machine
__main__.py          lets it watch a running `make demo`
kubernetes_rule.py   the alerts as Prometheus' operator takes them
"""
