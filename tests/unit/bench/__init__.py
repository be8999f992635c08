"""Unit tests of the benchmarks' pure parts."""
