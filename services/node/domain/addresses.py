"""Which loopback address is free next; pure. A home owns 127.A.0.0/16: services in 1..15, pods in 16..255."""

from collections.abc import Collection, Iterator

SERVICES, PODS = (1, 15), (16, 255)


class OutOfAddresses(Exception):
    """Every address of the range is taken."""


def next_address(second: int, rows: tuple[int, int], taken: Collection[str], after: str | None = None) -> str:
    """The first free `127.<second>.x.y` behind `after`, so that an address is not soon given to another pod."""
    candidates = list(_range(second, rows))
    start = candidates.index(after) + 1 if after in candidates else 0
    for address in [*candidates[start:], *candidates[:start]]:
        if address not in taken:
            return address
    raise OutOfAddresses(f"all {len(candidates)} addresses from {candidates[0]} on are in use")


def _range(second: int, rows: tuple[int, int]) -> Iterator[str]:
    for third in range(rows[0], rows[1] + 1):
        for fourth in range(1, 255):
            yield f"127.{second}.{third}.{fourth}"
