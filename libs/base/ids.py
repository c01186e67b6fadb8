"""Names for new things as an argument: random in life, from a seed in tests; assume no more than uniqueness."""

import os
import random
import threading
from typing import Protocol

from libs.base.clock import Clock, SystemClock, milliseconds

# Kubernetes' generateName alphabet: no vowels (no accidental words), none of 0, 1 and 3 (k8s.io/apimachinery rand.go).
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"

BLOCK_BYTES = 4096


def chance() -> float:
    """A number in [0, 1) by which retries are spread, where nobody brought a seeded one."""
    return random.random()


class Ids(Protocol):
    """Where new names come from."""

    def uid(self) -> str:
        """A random UUID (version 4) as text: the `metadata.uid` of an object."""
        ...

    def event(self) -> str:
        """A UUID (version 7) as text: later calls of one process sort later."""
        ...

    def suffix(self, n: int = 5) -> str:
        """`n` letters that Kubernetes would append to a `generateName`."""
        ...


def random_bits(n: int) -> int:
    """For ids that only have to differ, such as a span's; a simulation seeds them as it does all chance of `random`."""
    return random.getrandbits(n)


class _Blocks(random.SystemRandom):
    """The operating system's randomness, fetched in blocks: a call of it for each id costs more than the id."""

    def __init__(self) -> None:
        self._taking = threading.Lock()
        self._block, self._at = b"", 0
        os.register_at_fork(after_in_child=self._begin_anew)
        super().__init__()

    def getrandbits(self, k: int, /) -> int:
        size = (k + 7) // 8
        with self._taking:
            if self._at + size > len(self._block):
                self._block, self._at = os.urandom(max(BLOCK_BYTES, size)), 0
            self._at += size
            taken = self._block[self._at - size : self._at]
        return int.from_bytes(taken, "big") >> (size * 8 - k)

    def _begin_anew(self) -> None:
        """A child process must not draw what its parent draws."""
        self._taking = threading.Lock()
        self._block, self._at = b"", 0


_SYSTEM = _Blocks()


class _Ids:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._lock = threading.Lock()
        self._last = 0

    def uid(self) -> str:
        bits = self._rng.getrandbits(128)
        return _text(bits & ~(0xF << 76 | 0b11 << 62) | 0x4 << 76 | 0b10 << 62)

    def event(self) -> str:
        return _text(_uuid7(self._next_tick(), self._rng.getrandbits(62)))

    def suffix(self, n: int = 5) -> str:
        return "".join(self._rng.choice(SUFFIX_ALPHABET) for _ in range(n))

    def _millis(self) -> int:
        raise NotImplementedError

    def _next_tick(self) -> int:
        """Milliseconds and a 12-bit counter as one number that only grows, even when the clock steps back."""
        with self._lock:
            self._last = max(self._millis() << 12, self._last + 1)
            return self._last


class SystemIds(_Ids):
    """Ids from the operating system's randomness and the given clock."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(_SYSTEM)
        self._clock = clock or SystemClock()

    def _millis(self) -> int:
        return milliseconds(self._clock.now())


class SeededIds(_Ids):
    """The same ids in the same order for the same seed; `clock` (else a counter) gives the sortable part of `event`."""

    def __init__(self, seed: int, clock: Clock | None = None) -> None:
        super().__init__(random.Random(seed))
        self._clock = clock

    def _millis(self) -> int:
        return milliseconds(self._clock.now()) if self._clock else 0


def _uuid7(tick: int, tail: int) -> int:
    """RFC 9562, section 5.7: 48 bits of milliseconds, version, a 12-bit counter, variant, 62 random bits."""
    millis, counter = tick >> 12, tick & 0xFFF
    return (millis & (1 << 48) - 1) << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | tail


def _text(uuid: int) -> str:
    digits = f"{uuid:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
