"""Who waits in one ClusterQueue, in order; thousands that are alike and cannot start cost as much as one.

Workloads that the decision cannot tell apart form a class (Kueue's scheduling equivalence). If the first of a class
cannot start, none of it can: the class is parked as a whole, until capacity is freed or the configuration changes.
"""

from bisect import bisect_left, insort
from heapq import heappop, heappush

Key = tuple[int, int, str]
"""-priority, arrival, uid: a total order."""


class Line:
    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self._all: list[Key] = []
        self._classes: dict[str, list[Key]] = {}
        self._class_of: dict[str, tuple[Key, str]] = {}
        self._active: list[tuple[Key, str]] = []
        self._parked: dict[str, Key] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, uid: str) -> bool:
        return uid in self._class_of

    def __iter__(self):
        return (key[2] for key in self._all)

    def add(self, key: Key, kind: str) -> None:
        self._class_of[key[2]] = (key, kind)
        insort(self._all, key)
        alike = self._classes.setdefault(kind, [])
        insort(alike, key)
        if key < self._parked.get(kind, key):
            del self._parked[kind]  # one that comes before the one that could not start may do more: preempt it, say
        if alike[0] is key and kind not in self._parked:
            heappush(self._active, (key, kind))

    def remove(self, uid: str) -> None:
        key, kind = self._class_of.pop(uid)
        del self._all[bisect_left(self._all, key)]
        alike = self._classes[kind]
        del alike[bisect_left(alike, key)]
        if not alike:
            del self._classes[kind]
            self._parked.pop(kind, None)
        elif alike[0] > key and kind not in self._parked:
            heappush(self._active, (alike[0], kind))

    def park(self, uid: str) -> None:
        """It cannot start now, nor can anyone like it behind it."""
        key, kind = self._class_of[uid]
        self._parked[kind] = key

    def retry(self, uid: str) -> None:
        """Its class may try again, if it is this one that it was parked for."""
        key, kind = self._class_of[uid]
        if self._parked.get(kind) == key:
            del self._parked[kind]
            heappush(self._active, (self._classes[kind][0], kind))

    def wake(self) -> None:
        """Something changed: everybody may try again."""
        for kind in self._parked:
            heappush(self._active, (self._classes[kind][0], kind))
        self._parked.clear()

    def head(self) -> str | None:
        """Whose turn it is; None if nobody could start as things are."""
        if self.strict:
            first = self._all[0][2] if self._all else None
            return None if first is None or self._class_of[first][1] in self._parked else first
        while self._active:
            key, kind = self._active[0]
            alike = self._classes.get(kind)
            if alike and alike[0] == key and kind not in self._parked:
                return key[2]
            heappop(self._active)
        return None

    def position(self, uid: str) -> int:
        """From 1."""
        return self.place_of(self._class_of[uid][0])

    def place_of(self, key: Key) -> int:
        """The position somebody with this key has or would have."""
        return bisect_left(self._all, key) + 1

    def first(self, count: int) -> list[str]:
        return [key[2] for key in self._all[:count]]
