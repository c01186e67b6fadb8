"""Runs as other systems keep them: OpenLineage events and MLflow runs, made from the same facts; values only."""
