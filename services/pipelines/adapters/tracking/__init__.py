"""Tells other systems of runs: follows what this service says in its own change log, and remembers how far."""
