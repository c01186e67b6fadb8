"""Which place each waiting pod of a job is told: the pods of a set go to its domains in the order of their ranks."""

from collections.abc import Iterable, Iterator
from typing import Any

from contracts import admission, queueing
from services.trainer.domain import words
from services.trainer.domain.observed import index, is_leaving

Object = dict[str, Any]


def patches(job: Object, pods: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    """For each pod behind the gate its name and the merge patch that opens it; none as long as its place is unknown."""
    given = admission.assignment(job, words.NODE)
    for pod in pods:
        gates = pod["spec"].get("schedulingGates") or []
        if given is None or is_leaving(pod) or not any(gate["name"] == queueing.GATE for gate in gates):
            continue
        place = queueing.domain_selector(given, index(pod))
        if place:
            left = [gate for gate in gates if gate["name"] != queueing.GATE]
            yield pod["metadata"]["name"], {"spec": {"schedulingGates": left or None, "nodeSelector": place}}
