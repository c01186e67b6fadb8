"""Compiled pipelines by their digest, read once: many runs share one, and reading a large one takes milliseconds."""

from __future__ import annotations

from collections import OrderedDict

from libs.base import NotFound
from libs.store import Reader, brief
from services.pipelines.adapters.spec import pipeline_of
from services.pipelines.domain.ir.model import Pipeline

GET = brief("SELECT body FROM pipeline_specs WHERE digest = ?1")
KEPT = 64


class Specs:
    """A pipeline is frozen, so one is handed to everybody."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Pipeline] = OrderedDict()

    async def of(self, reader: Reader, digest: str) -> Pipeline:
        """Raises NotFound, and SpecError for one that this release cannot read any more."""
        if digest not in self._known:
            found = await reader.rows(GET, digest)
            if not found:
                raise NotFound(f"the compiled pipeline {digest} is not kept any more")
            self._known[digest] = pipeline_of(found[0][0])
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(digest)
        return self._known[digest]
