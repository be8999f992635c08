"""Unit tests of `deploy/`."""
