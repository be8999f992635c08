"""Backing services and processes on one machine, for the demo, the tests and developers.

- `processes`     child processes that can be stopped, killed and frozen, and never outlive us
- `backing`       Kafka and the store by the first of four ways that works here
- `kafka_native`, `kafka_in_memory`, `store_process`, `containers`   the ways themselves
"""
