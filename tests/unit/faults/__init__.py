"""Unit tests of what `tests/faults/` judges by: a checker that cannot fail proves nothing."""
