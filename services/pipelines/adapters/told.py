"""What the conductor is told of attempts, by pods, by its own door, or through the store by another replica's."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from services.pipelines.domain.ended import Ended
from services.pipelines.domain.steps.values import StepResult

RESULT = "result"
"""A wish whose body is a result that another replica's door took."""


@dataclass
class Told:
    """What is known of an attempt: its result, that its pod ended without one, why it does not run yet ("": no more
    known), that the bucket was asked about what is kept of it, or (none of these) that it runs. `heard` is told whether
    it counts, once that is committed."""

    uid: str
    attempt: int
    result: StepResult | None = None
    ended: Ended | None = None
    waits: str | None = None
    looked: bool = False
    heard: asyncio.Future[bool] | None = None

    @property
    def is_urgent(self) -> bool:
        """Something follows from it at once."""
        return self.result is not None or self.ended is not None or self.looked


def handed_in(body: str) -> Told:
    """What a RESULT wish holds."""
    told = json.loads(body)
    return Told(str(told["uid"]), int(told["attempt"]), StepResult.from_json(told["result"]))
