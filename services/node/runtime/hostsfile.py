"""A pod's hosts file; it must not assume that nobody reads while it is rewritten."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

HEAD = "# Written by the node for this pod.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


def text(own: tuple[str, str], hosts: Iterable[tuple[str, Iterable[str]]]) -> str:
    """`own` is the pod's (address, hostname): last, so that it only fills in what `hosts` leaves out."""
    lines = [*((ip, *names) for ip, names in hosts), own]
    return HEAD + "".join(f"{line[0]}\t{' '.join(line[1:])}\n" for line in lines)


def write(path: Path, content: str) -> None:
    """In place: a bind mount shows the inode, so a rename would not be seen.

    New text first, padded over the old, then the cut: a reader in between sees whole lines of one or the other.
    """
    data = content.encode()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(fd, data.ljust(os.fstat(fd).st_size, b"\n"), 0)
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def own(path: Path) -> tuple[str, str]:
    """The pod's (address, hostname). Raises FileNotFoundError before its start."""
    ip, _, name = path.read_text().rstrip().rpartition("\n")[2].partition("\t")
    return ip, name


def read(path: str | Path) -> dict[str, str]:
    """name -> address; the first line that has a name wins, as in the C library."""
    found: dict[str, str] = {}
    for line in Path(path).read_text().splitlines():
        ip, *names = line.partition("#")[0].split() or [""]
        for name in names:
            found.setdefault(name, ip)
    return found
