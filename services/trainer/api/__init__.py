"""The trainer's HTTP routes beyond its kinds."""
