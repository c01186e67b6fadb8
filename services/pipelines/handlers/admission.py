"""What the pipelines service does when the scheduler answers a step: it notes it for whichever replica leads."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.admission import Answer
from contracts.messages import Event
from services.pipelines.domain.queued import KIND
from services.pipelines.ports import Answers


async def when_workload_answered(event: Answer, needs: Answers) -> Sequence[Event]:
    """Said twice or late it does no harm: whether it means anything is decided where the step's seat is known."""
    if event.kind == KIND:
        await needs.note(event)
    return []
