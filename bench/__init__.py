"""Benchmarks: `python -m bench`. Each prints ratios of medians that were measured in one run."""
