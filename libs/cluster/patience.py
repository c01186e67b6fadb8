"""Which refused calls are sent again and after how long; pure, after client-go's own rules, and bounded.

What is not sent again here fails with `retry_after_s` as the server gave it, so that whoever backs off can keep to it.
"""

from libs.base.errors import ApiError, TooManyRequests, Unavailable

ATTEMPTS_MAX = 4
"""How often one call is sent in all."""
WAIT_MAX_S = 8
"""A server that asks for more has a trouble that the caller should know of."""
FIRST_PAUSE_S = 0.1
"""The wait after a connection that broke, doubled each time: load balancers cut idle ones."""
REPEATABLE = ("GET", "PUT", "PATCH", "DELETE")
"""Sent twice, they do no more than sent once: all our patches state values (merge patch and server-side apply)."""


def wait_before_again(method: str, error: ApiError, attempt: int, *, cut: bool, spread: float) -> float | None:
    """Seconds until `method` is sent again after `error` of attempt number `attempt` (from one); None for never.

    `cut` tells that the connection broke and nobody knows whether the call was carried out; `spread` is a number from 0
    to 1 that keeps many clients from coming back at the same moment.
    """
    if attempt >= ATTEMPTS_MAX:
        return None
    if cut:
        return FIRST_PAUSE_S * 2 ** (attempt - 1) * (1 + spread) if method in REPEATABLE else None
    asked = error.retry_after_s
    if asked is None or asked > WAIT_MAX_S or not _was_turned_away(method, error):
        return None
    return asked + spread * max(0.1, asked / 4)


def _was_turned_away(method: str, error: ApiError) -> bool:
    """429 is said before a call begins (API priority and fairness), any other refusal perhaps in the middle of it."""
    if isinstance(error, TooManyRequests) or error.code == 429:
        return True
    return method in REPEATABLE and (isinstance(error, Unavailable) or error.code >= 500)
