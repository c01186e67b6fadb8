"""The first program of every step's pod: fetches inputs, runs the step, keeps its outputs, reports.

It runs in whatever image a component names, so it assumes a Python of 3.8 or later and nothing else: no package, no
shell, no key of the bucket. All its files travel as one zip (`adapters/launcher.py`).
"""
