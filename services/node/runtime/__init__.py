"""The process half of the embedded Kubernetes: containers as processes of this machine, kept by a spawner."""
