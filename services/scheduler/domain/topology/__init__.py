"""Topology-aware placement: which nodes, racks and blocks the pods of a gang go to."""
