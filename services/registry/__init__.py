"""The service that remembers models, versions and artifacts, and where each version came from."""
