"""What a one-machine Kubernetes decides: pure functions over objects as dicts; no clock, no store, no process."""
