"""The service that rolls models out: InferenceService objects become workloads; it never loads a model itself."""
