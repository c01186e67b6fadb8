"""Keeps what jobs leave behind: reads it from the cluster while it is there, holds it in store and bucket."""
