"""The dispatcher on a real broker, as real processes."""
