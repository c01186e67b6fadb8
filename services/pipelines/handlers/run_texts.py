"""Whole runs as text for who looks at them again and again: what is known of a run is kept a while, the rest is read.

Reading and writing go in parts beside the event loop: a run of ten thousand tasks takes seconds the first time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from services.pipelines.domain.catalog.run_text import RunText
from services.pipelines.domain.runs import Run
from services.pipelines.handlers.desk import Look

AT_ONCE = 500
"""Changes that are read by one query."""
KEPT_MAX, BYTES_MAX = 32, 64 * 2**20
KEPT_S = 120.0
"""How long a run is kept that nobody looked at."""
BELIEVED_S = 600.0
"""Then it is read anew: a replica of a release before may have changed what it did not number."""


@dataclass
class Kept:
    born: float
    looked_at: float
    text: RunText = field(default_factory=RunText)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class RunTexts:
    """Of one process."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    async def of(self, run: Run, now: float) -> bytes:
        """As it is in the store by now, or newer than `run` says. `now` is in seconds of the monotonic clock."""
        while True:
            kept = self._open(run.id, now)
            async with kept.turn:
                if self._kept.get(run.id) is not kept:
                    continue  # whoever had it before broke off
                try:
                    await self._catch_up(run, kept.text)
                    told = await asyncio.to_thread(kept.text.text, run)
                except BaseException:
                    self._kept.pop(run.id, None)
                    raise
                self._tidy(now)
                return told

    def _open(self, id: str, now: float) -> Kept:
        kept = self._kept.get(id)
        if kept is None or (now - kept.born > BELIEVED_S and not kept.turn.locked()):
            kept = self._kept[id] = Kept(now, now)
        kept.looked_at = now
        self._kept.move_to_end(id)
        return kept

    async def _catch_up(self, run: Run, text: RunText) -> None:
        if text.wants_document:
            async with self._look() as needs:
                document = None if run.version_id else await needs.catalog.document(run.spec)
            await asyncio.to_thread(text.show_document, document.shown() if document else None)
        while True:
            async with self._look() as needs:
                changes = await needs.runs.changes(run.id, text.seen, AT_ONCE)
            if changes:
                await asyncio.to_thread(text.take, run, changes)
            if len(changes) < AT_ONCE:
                return

    def _tidy(self, now: float) -> None:
        """What was looked at least lately goes first."""
        total = sum(kept.text.size for kept in self._kept.values())
        for id, kept in list(self._kept.items())[:-1]:
            if total > BYTES_MAX or len(self._kept) > KEPT_MAX or now - kept.looked_at > KEPT_S:
                total -= kept.text.size
                del self._kept[id]
        if total > BYTES_MAX:
            self._kept.clear()
