"""Which namespaces somebody may look into; asked of each, since nobody keeps a list of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from libs.base.errors import Forbidden
from services.pipelines.handlers.desk import Means, Object
from services.pipelines.handlers.runs import PLURAL


@dataclass(frozen=True)
class Spaces:
    """What the page of runs offers to choose from."""

    means: Means

    async def list(self, user: Any) -> Object:
        """Those with runs that the user may list, and where things go that name none."""
        async with self.means.look() as needs:
            known = await needs.run_list.namespaces()
        here = self.means.namespace
        return {"namespaces": [one for one in sorted({*known, here}) if await self._may(user, one)], "default": here}

    async def _may(self, user: Any, namespace: str) -> bool:
        try:
            await self.means.allow(user, "list", PLURAL, namespace, "")
        except Forbidden:
            return False
        return True
