"""Dashboards as code: what is on them (boards), their JSON for Grafana (dashboards), and pictures of them."""
