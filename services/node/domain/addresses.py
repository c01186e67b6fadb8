"""Which loopback address is free next; pure. A home owns 127.A.0.0/16: services in 1..15, pods in 16..255."""

from collections.abc import Collection

SERVICES, PODS = (1, 15), (16, 255)
FOURTHS = 254
"""Addresses of one row: .1 to .254."""


class OutOfAddresses(Exception):
    """Every address of the range is taken."""


def next_address(second: int, rows: tuple[int, int], taken: Collection[str], after: str | None = None) -> str:
    """The first free `127.<second>.x.y` behind `after`, so that an address is not soon given to another pod."""
    first, last = rows
    count = (last - first + 1) * FOURTHS
    start = _place(second, rows, after)
    for step in range(count):
        third, fourth = divmod((start + step) % count, FOURTHS)
        address = f"127.{second}.{first + third}.{1 + fourth}"
        if address not in taken:
            return address
    raise OutOfAddresses(f"all {count} addresses from 127.{second}.{first}.1 on are in use")


def _place(second: int, rows: tuple[int, int], after: str | None) -> int:
    """How many addresses of the range lie before the first one to try."""
    parts = [int(part) for part in after.split(".")] if after else []
    if len(parts) != 4 or parts[1] != second or not rows[0] <= parts[2] <= rows[1]:
        return 0
    return (parts[2] - rows[0]) * FOURTHS + parts[3]
