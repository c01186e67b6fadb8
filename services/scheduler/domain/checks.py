"""Admission checks: which of its queue's a workload has to pass, and how it stands with them."""

from services.scheduler.domain.model import Assignment, CheckState, ClusterQueue, Workload


def required(queue: ClusterQueue, assignments: tuple[Assignment, ...]) -> list[str]:
    """Those without flavors, and those of a flavor it got."""
    flavors = {flavor for assignment in assignments for flavor in assignment.flavors.values()}
    return [rule.name for rule in queue.checks if not rule.flavors or flavors.intersection(rule.flavors)]


def standing(workload: Workload, names: list[str]) -> tuple[CheckState, list[str]]:
    """The worst state, Rejected before Retry before Pending before Ready, and who is in it."""
    states = {name: workload.checks.get(name, CheckState.PENDING) for name in names}
    for worst in (CheckState.REJECTED, CheckState.RETRY, CheckState.PENDING):
        if found := [name for name, state in states.items() if state is worst]:
            return worst, found
    return CheckState.READY, []
