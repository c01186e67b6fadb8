"""What benchmarks/pipelines.py measures: the same two pipelines as each peer's own users write them."""
