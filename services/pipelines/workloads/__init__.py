"""Programs that run inside pods of pipelines; they know nothing of the service."""
