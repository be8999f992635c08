"""Watching: Prometheus' configuration, the alerts with their cases, and a Prometheus of this machine."""
