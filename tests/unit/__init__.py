"""Unit tests: a file mirrors a source file."""
