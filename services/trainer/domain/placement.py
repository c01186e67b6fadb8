"""Where a job's pods go: what the scheduler assigned, put into their template; and whether a Job was made for that."""

import hashlib
import json
from typing import Any

from contracts import admission, queueing
from services.trainer.domain import words

Object = dict[str, Any]
MARK = "millstream.dev/placement"
"""On a child Job: what its pods' place was when it was made."""


def placed(job: Object, template: Object, role: str) -> Object:
    """The template of a role's pods. A launcher that is one of the nodes goes to the same machines, and wherever it
    likes."""
    given = admission.assignment(job, role)
    if given is None and (nodes := admission.assignment(job, words.NODE)):
        given = nodes.model_copy(update={"topology": []})
    return queueing.placed(template, given)


def mark(job: Object) -> dict[str, str]:
    """The label of a child Job; none where any machine will do."""
    given = admission.assignment(job, words.NODE)
    place = given and {
        key: value
        for key, value in given.model_dump(mode="json").items()
        if key in ("node_selector", "tolerations", "topology", "topology_levels") and value
    }
    if not place:
        return {}
    return {MARK: hashlib.sha256(json.dumps(place, sort_keys=True).encode()).hexdigest()[:16]}


def is_elsewhere(job: Object, child: Object) -> bool:
    """Whether the Job was made for another place than the present admission's."""
    return (child["metadata"].get("labels") or {}).get(MARK) != mark(job).get(MARK)
