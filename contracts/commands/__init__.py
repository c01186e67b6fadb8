"""Wishes, by domain and version. Each is defined once, by the service that answers it."""
