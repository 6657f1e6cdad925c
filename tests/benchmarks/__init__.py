"""Benchmarks: each prints ratios against a peer measured in the same run, on the same files. `make benchmarks` runs all."""
