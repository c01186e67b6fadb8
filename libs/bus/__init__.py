"""Bytes and headers between services: publish, subscribe, retry, dead letters; what they mean is not known here."""

from libs.bus.api import (
    Bus,
    BusError,
    BusUnavailable,
    DeadLetter,
    Deliver,
    Delivery,
    Lag,
    Message,
    NoAnswer,
    NotNow,
    Poison,
    PubAck,
    Subscription,
    Unsafe,
)
from libs.bus.messages import inbox_prefix
from libs.bus.tuning import Tuning

__all__ = [
    "Bus",
    "BusError",
    "BusUnavailable",
    "DeadLetter",
    "Deliver",
    "Delivery",
    "Lag",
    "Message",
    "NoAnswer",
    "NotNow",
    "Poison",
    "PubAck",
    "Subscription",
    "Tuning",
    "Unsafe",
    "inbox_prefix",
]
