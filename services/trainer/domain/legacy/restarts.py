"""Which failed pods are made anew, which fail their job, and when it has been enough; upstream's rules (v1.9).

The kubelet itself starts containers again where the policy is OnFailure or Always; pods fail then only when their node
is lost or evicts them. With ExitCode the exit code of the training container decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from libs.cluster.obstacles import disruption
from services.trainer.domain.legacy.crew import replica_specs
from services.trainer.domain.legacy.family import Family, Job
from services.trainer.domain.legacy.observed import (
    Observed,
    Pod,
    container_restarts,
    exit_code,
    is_leaving,
    phase,
    role_of,
)
from services.trainer.domain.legacy.state import run_policy

RETRYABLE_FROM = 128
"""Exit codes from here on are signals or the program's own request for another try."""
POD_POLICY = {"ExitCode": "Never"}
"""What the kubelet knows no word for; the other policies are its own."""


@dataclass(frozen=True)
class Failed:
    """One failed pod. `again` says that another is made in its place, `counts` that it was the pod's own doing."""

    pod: Pod
    role: str
    again: bool
    counts: bool


def failed_pods(job: Job, family: Family, observed: Observed) -> list[Failed]:
    """In the order of roles; a failed worker of a job whose workers may come and go is nobody's failure."""
    return [one for role in replica_specs(job, family) for one in _failed(job, family, role, observed)]


def _failed(job: Job, family: Family, role: str, observed: Observed) -> Iterator[Failed]:
    policy = job["spec"][family.specs][role]["restartPolicy"]
    dynamic = bool(job["spec"].get("enableDynamicWorker")) and role == "Worker"
    for pod in observed.pods:
        if role_of(pod) != role.lower() or phase(pod) != "Failed" or is_leaving(pod):
            continue
        again = _may_again(pod, policy, family)
        if again or not dynamic:
            yield Failed(pod, role, again, counts=disruption(pod) is None)


def _may_again(pod: Pod, policy: str, family: Family) -> bool:
    if policy != "ExitCode":
        return policy in ("OnFailure", "Always")
    code = exit_code(pod, family.container)
    return code is None or code >= RETRYABLE_FROM


def spent(job: Job, family: Family, observed: Observed, found: list[Failed]) -> bool:
    """Whether the restarts that were made, and those that would be, are more than backoffLimit."""
    limit = run_policy(job).get("backoffLimit")
    if limit is None:
        return False
    specs = replica_specs(job, family)
    restartable = {role.lower() for role, spec in specs.items() if spec["restartPolicy"] != "Never"}
    inside = sum(container_restarts(pod) for pod in observed.pods if role_of(pod) in restartable)
    made = int((job.get("status") or {}).get("restarts") or 0) + len([one for one in found if one.again and one.counts])
    return made > limit or (inside > 0 if limit == 0 else inside >= limit)
