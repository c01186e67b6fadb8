"""Length-prefixed JSON between node, spawner and fork servers; it must not assume that reads end at a frame's end."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

HEAD = struct.Struct("!I")
FRAME_BYTES_MAX = 16 * 1024 * 1024


def pack(message: dict[str, Any]) -> bytes:
    """One frame: four bytes of length, then the JSON text."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return HEAD.pack(len(body)) + body


class Frames:
    """Collects bytes and yields whole messages. Raises ValueError on a frame that is too long or no JSON."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        self._buffer += data
        while len(self._buffer) >= HEAD.size:
            (size,) = HEAD.unpack_from(self._buffer)
            if size > FRAME_BYTES_MAX:
                raise ValueError(f"frame of {size} bytes is longer than {FRAME_BYTES_MAX}")
            if len(self._buffer) < HEAD.size + size:
                return
            body = bytes(self._buffer[HEAD.size : HEAD.size + size])
            del self._buffer[: HEAD.size + size]
            yield json.loads(body)


def send_with_fds(line: socket.socket, message: dict[str, Any], fds: Sequence[int]) -> None:
    """Sends a frame; the descriptors ride on its first byte."""
    data = pack(message)
    sent = socket.send_fds(line, [data], list(fds))
    if sent < len(data):
        line.sendall(data[sent:])


def receive_with_fds(line: socket.socket, fds_max: int = 8) -> tuple[dict[str, Any], list[int]] | None:
    """One frame and its descriptors (close-on-exec), blocking; None at the end of the line."""
    head, fds, _flags, _address = socket.recv_fds(line, HEAD.size, fds_max)
    if not head:
        return None
    for fd in fds:
        os.set_inheritable(fd, False)
    head += _exactly(line, HEAD.size - len(head))
    return json.loads(_exactly(line, HEAD.unpack(head)[0])), fds


def _exactly(line: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = line.recv(size - len(parts))
        if not part:
            raise ConnectionError("the line ended within a frame")
        parts += part
    return bytes(parts)
