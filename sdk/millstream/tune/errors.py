"""What a user of `tune` did that cannot work, in one sentence with the remedy."""


class TuneError(Exception):
    """Told without a traceback: the sentence says it all."""
