"""What of an object's words could not be put to the scheduler: told where it is written, not when its job stands still.

Pure, and the same for every kind that is queued; each answer is the path of a field and what is wrong with it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from contracts import queueing
from contracts.kinds.quantity import amount

Wrong = tuple[str, str]
SHOWN = 60
_NAME = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
CONTAINERS = ("containers", "initContainers")


def of_object(obj: Mapping[str, Any]) -> Iterator[Wrong]:
    """Of its own labels and annotations."""
    meta = obj.get("metadata") or {}
    labels, notes = _mapping(meta.get("labels")), _mapping(meta.get("annotations"))
    limit, priority = labels.get(queueing.MAX_EXECUTION), notes.get(queueing.PRIORITY)
    if limit and not re.fullmatch(r"[1-9]\d{0,8}", str(limit), re.ASCII):
        yield f"metadata.labels[{queueing.MAX_EXECUTION}]", f"{limit!r} must be a whole number of seconds, at least 1"
    if priority and not re.fullmatch(r"-?\d{1,9}", str(priority), re.ASCII):
        yield f"metadata.annotations[{queueing.PRIORITY}]", f"{priority!r} must be a whole number of at most 9 digits"


def of_template(template: Any, where: str) -> Iterator[Wrong]:
    """Of a pod template at the path `where`, of whatever shape it is: its amounts, and how near its pods have to be."""
    given = _mapping(template)
    size = _mapping(_mapping(given.get("metadata")).get("annotations")).get(queueing.SLICE_SIZE)
    if size and not re.fullmatch(r"[1-9]\d{0,8}", str(size), re.ASCII):
        told = f"{size!r} must be a whole number of pods, at least 1"
        yield f"{where}.metadata.annotations[{queueing.SLICE_SIZE}]", told
    pod = _mapping(given.get("spec"))
    yield from of_amounts(pod.get("overhead"), f"{where}.spec.overhead")
    for part in CONTAINERS:
        found = pod.get(part)
        for index, container in enumerate(found if isinstance(found, list) else ()):
            resources = _mapping(_mapping(container).get("resources"))
            for sort in ("limits", "requests"):
                yield from of_amounts(resources.get(sort), f"{where}.spec.{part}[{index}].resources.{sort}")


def of_amounts(amounts: Any, where: str) -> Iterator[Wrong]:
    for name, value in _mapping(amounts).items():
        if not _NAME.fullmatch(str(name)):
            shown = f"{name if len(str(name)) <= SHOWN else str(name)[:SHOWN] + '...'!r}"
            yield where, f"{shown} names no resource; write for example cpu, memory or nvidia.com/gpu"
            continue
        try:
            negative = amount(value) < 0
        except ValueError as error:
            yield f"{where}.{name}", str(error)
        else:
            if negative:
                yield f"{where}.{name}", f"{value!r} must not be negative"


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}
