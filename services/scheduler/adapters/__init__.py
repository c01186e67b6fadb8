"""The scheduler's projection of workloads, kept in its own store."""
