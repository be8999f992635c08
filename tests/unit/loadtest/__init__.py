"""Unit tests of `loadtest/`."""
