"""Benchmarks of the hub, as ratios within one run (docs/performance.md)."""
