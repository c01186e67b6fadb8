"""One public door: authentication, routing, API discovery, OpenAPI."""
