"""What a job remembers of the scheduler's answers: the words of contracts.admission, under the name known here."""

from contracts.admission import (
    ADMITTED,
    EVICTED,
    admitted,
    assignment,
    evicted,
    held,
    is_evicted,
    is_news,
    of,
    released,
)

__all__ = [
    "ADMITTED",
    "EVICTED",
    "admitted",
    "assignment",
    "evicted",
    "held",
    "is_evicted",
    "is_news",
    "of",
    "released",
]
