"""What goes wrong with data, in words for who trains on it."""


class DataError(Exception):
    """The data is not there, not readable, not what was asked for, or not what a saved state was about."""
