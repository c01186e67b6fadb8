"""Tests of what is read from a compiled pipeline and of what is decided from it."""
