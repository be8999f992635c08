"""Integration tests: real processes, real brokers, a real store."""
