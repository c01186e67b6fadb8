"""Kubernetes quantities (`500m`, `1.5Gi`, `2`) as numbers; pure. Source: k8s.io/apimachinery resource.Quantity."""

import re
from typing import Any

_FORM = re.compile(r"([+-]?[0-9]+(?:\.[0-9]*)?|[+-]?\.[0-9]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?")
_SUFFIX = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


def quantity(value: Any) -> float:
    """The number that a quantity stands for: cores, bytes or a count; ValueError says what a quantity looks like."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = _FORM.fullmatch(str(value).strip())
    if not found:
        raise ValueError(f"{value!r} is not a quantity: write a number with an optional suffix, such as 500m, 2 or 1Gi")
    number, suffix = found.group(1), found.group(2) or ""
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return float(number + suffix)
    return float(number) * _SUFFIX[suffix]


def requested(pod_spec: dict[str, Any]) -> dict[str, float]:
    """What a pod asks of its node by resource name: the sum of its containers, or the largest init container."""
    main: dict[str, float] = {}
    for container in pod_spec.get("containers", []):
        for name, amount in _requests(container).items():
            main[name] = main.get(name, 0.0) + amount
    for container in pod_spec.get("initContainers", []):
        for name, amount in _requests(container).items():
            main[name] = max(main.get(name, 0.0), amount)
    return main


def _requests(container: dict[str, Any]) -> dict[str, float]:
    resources = container.get("resources") or {}
    wanted = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: quantity(amount) for name, amount in wanted.items()}
