"""Backing services and processes on one machine, for the demo, the tests and developers.

- `processes`     child processes that can be stopped, killed and frozen, and never outlive us
- `restartable`   one such process as a part of the system: when it is ready, stop, kill, freeze
- `backing`       Kafka and the store by the first of four ways that works here
- `signals`       what ends a command of this machine
- `run_folder`    a folder for the length of a run
- `kafka_native`, `kafka_in_memory`, `store_process`, `containers`   the ways themselves
"""
