"""Facts, by domain and version. Each is defined once, by the service that says it."""
