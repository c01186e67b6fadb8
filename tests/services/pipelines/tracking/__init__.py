"""Runs as OpenLineage and MLflow are told of them."""
