"""The node over HTTP: the built-in kinds, logs and tokens, and who may ask."""
