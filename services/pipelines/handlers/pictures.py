"""A run as a picture, for whoever may look at the run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from libs.base.errors import BadRequest
from services.pipelines.domain.picture.layout import picture
from services.pipelines.domain.picture.nodes import TooManyPlaces, nodes
from services.pipelines.domain.picture.svg import svg
from services.pipelines.domain.runs import Run
from services.pipelines.handlers.desk import Means, there
from services.pipelines.handlers.runs import PLURAL


@dataclass(frozen=True)
class Pictures:
    means: Means

    async def graph(self, user: Any, id: str) -> str:
        """The pipeline's graph with how its tasks stand, as SVG."""
        async with self.means.look() as needs:
            run: Run = there(await needs.runs.get(id), "run", id)
            tasks, now = await needs.runs.tasks(id), needs.clock.now()
            document = there(await needs.catalog.document(run.spec), "compiled pipeline", run.spec)
        await self.means.allow(user, "get", PLURAL, run.namespace, run.name)
        compiled, _ = await self.means.check(document)
        try:
            # A pipeline of thousands of tasks takes a moment.
            return await asyncio.to_thread(lambda: svg(picture(nodes(compiled, tasks, now)), run.name, str(run.state)))
        except TooManyPlaces as error:
            raise BadRequest(str(error)) from error
