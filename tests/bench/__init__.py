"""Benchmarks: ratios against a reference in the same run, interleaved, medians. ``make bench`` prints one table."""
