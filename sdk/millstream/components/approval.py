"""A component that waits for a person; the platform runs nothing for it and takes what is decided as its result."""

from kfp import dsl


@dsl.container_component
def wait_for_approval(
    question: str,
    decision: dsl.OutputPath(str),
    by: dsl.OutputPath(str),
    comment: dsl.OutputPath(str),
    reject_fails: bool = True,
    timeout_seconds: int = 0,
):
    """Holds the pipeline until somebody approves: POST /pipelines/v1/runs/{run}/tasks/wait-for-approval:approve.

    Args:
        question: What is to be decided.
        reject_fails: Whether a rejection fails the task; else the pipeline goes on with it.
        timeout_seconds: After how long without a decision it is rejected; 0 waits for ever.

    Returns:
        decision: approved or rejected.
        by: Who decided.
        comment: What they said.
    """
    return dsl.ContainerSpec(image="millstream/approval", command=["wait-for-approval"], args=[question])
