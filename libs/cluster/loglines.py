"""Lines out of a stream of bytes, however long they are: memory is bounded, and what is cut out is said."""

from collections.abc import AsyncIterator


class Lines:
    """Cuts chunks into lines without their ends. Of a line longer than `most` bytes beginning and end are kept."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._parts: list[bytes] = []
        self._held = 0
        self._cut = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that end within `chunk`."""
        *whole, rest = chunk.split(b"\n")
        out = []
        for part in whole:
            self._hold(part)
            out.append(self._end())
        self._hold(rest)
        return out

    def rest(self) -> bytes | None:
        """What was not ended by a newline, None where there is nothing."""
        return self._end() if self._held or self._cut else None

    def _hold(self, part: bytes) -> None:
        if not part:
            return
        self._parts.append(part)
        self._held += len(part)
        if self._most is not None and self._held > 4 * self._most:
            self._shorten(self._most)

    def _shorten(self, most: int) -> None:
        """Keeps the first half of what may stay, and a last part that later ones will push out again."""
        whole = b"".join(self._parts)
        kept = most // 2
        self._cut += len(whole) - 2 * kept
        self._parts, self._held = [whole[:kept], whole[-kept:]], 2 * kept

    def _end(self) -> bytes:
        if self._most is not None and (self._cut or self._held > self._most):
            self._shorten(self._most)
        head, tail = b"".join(self._parts[:1]), b"".join(self._parts[1:])
        line = head + b" ... (%d bytes of this line are cut out) ... " % self._cut + tail if self._cut else head + tail
        self._parts, self._held, self._cut = [], 0, 0
        return line


async def bounded(chunks: AsyncIterator[bytes], most: int, *, whole: bool) -> AsyncIterator[bytes]:
    """The lines of a stream; with `whole` a last one that nothing has ended yet is left out."""
    lines = Lines(most)
    async for chunk in chunks:
        for line in lines.feed(chunk):
            yield line
    if not whole and (rest := lines.rest()) is not None:
        yield rest
