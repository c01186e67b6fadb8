"""Doubles, simulated time and conformance suites; imported by tests alone."""
