"""Programs that run inside the pods of this service, never in the service process."""
