"""Dispatching while people chat: real edges and dispatchers, disturbed by load, stops and deaths."""
