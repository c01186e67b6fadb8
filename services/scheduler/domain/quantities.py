"""Amounts of resources as whole numbers, and in words; rounding is always up, so nobody gets more than is counted."""

from math import ceil

from contracts.kinds.quantity import MOST, amount

MIB, GIB = 2**20, 2**30
BYTES = ("memory", "ephemeral-storage", "storage")


def parse(resource: str, quantity: str | int | float) -> int:
    """cpu in milli-cores, bytes as bytes, anything else in pieces, at most MOST, since what is decided is stored in 64
    bits. Raises ValueError for what is no quantity."""
    value = amount(quantity)
    return min(MOST, ceil(value * 1000) if resource == "cpu" else ceil(value))


def say(resource: str, value: int) -> str:
    """For people: `1.5 cpu`, `8 GiB of memory`, `2 nvidia.com/gpu`."""
    if resource == "cpu":
        return f"{value / 1000:g} cpu"
    if resource in BYTES or resource.startswith("hugepages-"):
        unit, size = ("GiB", GIB) if abs(value) >= GIB or not value else ("MiB", MIB)
        return f"{value / size:.3g} {unit} of {resource}"
    return f"{value} {resource}"
