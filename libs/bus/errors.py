"""What can go wrong on the bus, and the two things a handler may say instead of a plain error."""

from typing import Literal

from libs.base.errors import MillstreamError


class BusError(MillstreamError):
    """The root of the bus's errors."""


class BusUnavailable(BusError):
    """The broker did not take or give a message in time; the caller may try again with the same message id."""


class NoAnswer(BusError):
    """A request was stored by the broker, but nobody answered it in time; it may still be carried out later."""


class Unsafe(BusError):
    """The broker acknowledges messages before they are on disk, and the settings say to refuse that."""


class Poison(BusError):
    """Raised by a handler: no retry can help, put the message with the dead letters at once. `cause` sorts the reasons
    for whoever counts them."""

    def __init__(self, reason: str, cause: Literal["malformed", "invalid", "poison"] = "poison") -> None:
        super().__init__(reason)
        self.reason, self.cause = reason, cause


class NotNow(BusError):
    """Raised by a handler when its service cannot work at all, say because its store is away: try again in `delay_s`.

    It is not counted against the message, which stays in hand meanwhile: a service that cannot work takes no more work.
    """

    def __init__(self, delay_s: float) -> None:
        super().__init__(f"again in {delay_s:g} s")
        self.delay_s = delay_s
