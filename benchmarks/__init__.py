"""Benchmarks; `python -m benchmarks`. No tests."""
