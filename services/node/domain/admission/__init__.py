"""Defaults and validation of the built-in kinds; pure, each problem names its field."""
