"""States and decisions of pipelines: pure functions over frozen values."""
