"""A step that waits for a person: it has no pod, and what it comes to is what somebody decides; pure.

In a pipeline it is an ordinary container component with the image `millstream/approval`. Its outputs, as far as it
declares them, are `decision` (approved or rejected), `by` and `comment`.
"""

from __future__ import annotations

from services.pipelines.domain.steps.values import StepOrder, StepResult

IMAGE = "millstream/approval"
APPROVED, REJECTED = "approved", "rejected"


def is_gate(image: str) -> bool:
    return image == IMAGE


def decided(order: StepOrder, approved: bool, by: str, comment: str) -> StepResult:
    """What the step comes to. A rejection fails it, unless its input `reject_fails` says that the pipeline goes on."""
    if not approved and order.executor_input["inputs"]["parameterValues"].get("reject_fails", True):
        return StepResult(False, exit_code=1, error=f"rejected by {by}" + (f": {comment}" if comment else ""))
    told = {"decision": APPROVED if approved else REJECTED, "by": by, "comment": comment}
    return StepResult(True, values={name: value for name, value in told.items() if name in order.parameters})
