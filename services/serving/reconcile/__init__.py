"""Brings workloads towards what an InferenceService asks for; it must not assume that it is told of every change."""
