"""A container's requests and limits from the texts of the IR."""

import re
from typing import Any

from services.pipelines.domain.ir.model import Resources
from services.pipelines.domain.steps.placeholders import Scope

_QUANTITY = re.compile(r"^\d+(\.\d*)?([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$|^\.\d+([numkMGTPE]|[KMGTPE]i)?$")
DEFAULT_ACCELERATOR = "nvidia.com/gpu"
"""KFP writes GPU models of other clouds (`NVIDIA_TESLA_K80`) where Kubernetes wants the name of a resource."""


def resources(asked: Resources, scope: Scope) -> dict[str, Any]:
    """As Kubernetes writes them; {} when nothing is asked for. Raises ValueError that names field and value."""
    limits = {"cpu": (asked.cpu_limit, "cpu limit"), "memory": (asked.memory_limit, "memory limit")}
    requests = {"cpu": (asked.cpu_request, "cpu request"), "memory": (asked.memory_request, "memory request")}
    found = {
        "limits": {name: _quantity(text, field, scope) for name, (text, field) in limits.items() if text},
        "requests": {name: _quantity(text, field, scope) for name, (text, field) in requests.items() if text},
    }
    if count := _count(asked, scope):
        kind = scope.resolve(asked.accelerator_type) or DEFAULT_ACCELERATOR
        found["limits"][kind if "/" in kind else DEFAULT_ACCELERATOR] = count
    return {side: values for side, values in found.items() if values}


def _count(asked: Resources, scope: Scope) -> str:
    if not asked.accelerator_count:
        return ""
    text = scope.resolve(asked.accelerator_count)
    if not text.isdigit():
        raise ValueError(f"accelerator count {text!r} is not a whole number: give one like '1'")
    return "" if int(text) == 0 else text


def _quantity(text: str, field: str, scope: Scope) -> str:
    value = scope.resolve(text).strip()
    if not _QUANTITY.match(value):
        raise ValueError(f"{field} {value!r} is no quantity: give one like '500m', '2' or '512Mi'")
    return value
