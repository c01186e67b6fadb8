"""Tests of how a run is drawn."""
