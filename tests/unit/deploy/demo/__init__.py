"""Unit tests of `deploy/demo/`."""
