"""A job's child Jobs: which to make, change, stop and remove. Most have one; a launcher has its nodes beside it.

All are made at one time, since they share what changes from time to time (the port where they meet): where a crash left
only some, those go first.
"""

from collections.abc import Sequence
from typing import Any

from libs.cluster import JOB
from libs.resources.plan import Ensure, Remove
from services.trainer.domain.observed import Observed, is_over
from services.trainer.domain.placement import is_elsewhere

Object = dict[str, Any]


def removals(observed: Observed) -> list[Remove]:
    return [_remove(child) for child in observed.jobs]


def leftovers(observed: Observed) -> list[Remove]:
    """What would go on although the job is over: nodes that wait for a launcher's orders."""
    return [_remove(child) for child in observed.jobs if not is_over(child)]


def stopped(observed: Observed) -> list[Ensure]:
    """Those that are not suspended yet, suspended."""
    running = [child for child in observed.jobs if not child["spec"].get("suspend")]
    return [_apply({**_bare(child), "spec": {**child["spec"], "suspend": True}}) for child in running]


def adjusted(observed: Observed, wanted: Sequence[Object], *, elastic: bool) -> list[Ensure]:
    """Those that are suspended, have another deadline or (elastic) another size than wanted, brought to that."""
    keys = ("suspend", "activeDeadlineSeconds", *(("completions", "parallelism") if elastic else ()))
    by_name = {child["metadata"]["name"]: child["spec"] for child in wanted}
    changes = [(child, _change(child, by_name.get(child["metadata"]["name"], {}), keys)) for child in observed.jobs]
    return [_apply(_changed(child, change)) for child, change in changes if change]


def has_other_size(observed: Observed, wanted: Sequence[Object]) -> bool:
    """Whether one has another number of pods than wanted, and pods that cannot come and go one by one."""
    sizes = {child["metadata"]["name"]: child["spec"]["completions"] for child in wanted}
    here = [child for child in observed.jobs if not is_over(child) and not child["spec"].get("backoffLimit")]
    return any(child["spec"].get("completions") != sizes.get(child["metadata"]["name"]) for child in here)


def misplaced(job: Object, observed: Observed) -> list[Remove]:
    """All of them, when they rest and were made for other machines than the job may use now."""
    resting = [child for child in observed.jobs if child["spec"].get("suspend")]
    return removals(observed) if any(is_elsewhere(job, child) for child in resting) else []


def is_torn(observed: Observed, wanted: Sequence[str]) -> bool:
    """Some are there and some are not."""
    there = {child["metadata"]["name"] for child in observed.jobs}
    return bool(there) and not there >= set(wanted)


def made(children: Sequence[Object]) -> list[Ensure]:
    """The one whose end is the job's end comes last: what it needs is on its way then."""
    return [_apply(child) for child in reversed(children)]


def _remove(child: Object) -> Remove:
    return Remove(JOB, child["metadata"]["namespace"], child["metadata"]["name"])


def _apply(obj: Object) -> Ensure:
    return Ensure(obj, apply=True)


def _change(child: Object, wanted: Object, keys: Sequence[str]) -> Object:
    """What differs; None for what is wanted no more. Nothing of a Job that is over."""
    if is_over(child) or not wanted:
        return {}
    return {key: wanted.get(key) for key in keys if (child["spec"].get(key) or None) != (wanted.get(key) or None)}


def _changed(child: Object, change: Object) -> Object:
    spec = {**child["spec"], **change}
    return {**_bare(child), "spec": {key: value for key, value in spec.items() if value is not None}}


def _bare(child: Object) -> Object:
    """An observed object as one would write it: no status, none of the server's own metadata."""
    kept = {key: child["metadata"][key] for key in ("name", "namespace", "labels") if key in child["metadata"]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": kept}
