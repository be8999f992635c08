"""Unit tests of the dispatcher: its pure parts."""
