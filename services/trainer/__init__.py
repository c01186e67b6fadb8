"""The trainer: TrainJobs and their runtimes become Kubernetes Jobs; it never decides when a job may start."""
