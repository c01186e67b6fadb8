"""When a trigger fires and what it makes: pure decisions over its manifest, its status, the time and an event."""
