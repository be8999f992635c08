"""Proofs: `unit/` without I/O, `integration/` against real brokers, stores and clients."""
