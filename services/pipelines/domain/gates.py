"""A step that waits for a person: it has no pod, and what it comes to is what somebody decides; pure.

In a pipeline it is an ordinary container component with the image `millstream/approval`. Its outputs, as far as it
declares them, are `decision` (approved or rejected), `by` and `comment`. With an input `timeout_seconds` nobody's word
is a rejection after so long.
"""

from __future__ import annotations

from datetime import datetime

from libs.base.clock import span
from services.pipelines.domain.engine.records import State, TaskRecord
from services.pipelines.domain.steps.values import StepOrder, StepResult

IMAGE = "millstream/approval"
APPROVED, REJECTED = "approved", "rejected"
TIMEOUT = "timeout_seconds"


def is_gate(image: str) -> bool:
    return image == IMAGE


def decided(order: StepOrder, approved: bool, by: str, comment: str) -> StepResult:
    """What the step comes to. A rejection fails it, unless its input `reject_fails` says that the pipeline goes on."""
    return _decided(order, approved, by, comment, f"rejected by {by}" + (f": {comment}" if comment else ""))


def due(record: TaskRecord) -> datetime | None:
    """When it is too late to decide; None where there is time for ever, or nobody is asked."""
    limit = record.inputs.parameters.get(TIMEOUT)
    if record.state is not State.PAUSED or record.started_at is None:
        return None
    return record.started_at + span(float(limit)) if isinstance(limit, int | float) and limit > 0 else None


def expired(order: StepOrder) -> StepResult:
    """What the step comes to that nobody decided in time."""
    told = f"nobody decided within {order.executor_input['inputs']['parameterValues'][TIMEOUT]} s"
    return _decided(order, False, "", told, told)


def _decided(order: StepOrder, approved: bool, by: str, comment: str, error: str) -> StepResult:
    if not approved and order.executor_input["inputs"]["parameterValues"].get("reject_fails", True):
        return StepResult(False, exit_code=1, error=error)
    told = {"decision": APPROVED if approved else REJECTED, "by": by, "comment": comment}
    return StepResult(True, values={name: value for name, value in told.items() if name in order.parameters})
